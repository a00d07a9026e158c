//! The two ends of a link: the machines of `pulse_proto::backbone` over real QUIC, driven as an edge
//! drives them, on a thread each. No rooms, no sessions: what is measured is the link alone.

use std::{collections::VecDeque, net::SocketAddr, sync::mpsc, time::Duration};

use hdrhistogram::Histogram;
use pulse_core::quic::{
    Congestion, Connection, ConnectionError, Endpoint, EndpointConfig, Expected, Protocol,
    Transport,
};
use pulse_proto::{
    Frame, ParticipantId, RoomName,
    backbone::{
        Age, Aliases, Budget, BudgetState, Depacketizer, Outgoing, Packetizer,
        limits::{DATAGRAM_HEADER, FULL_ENOUGH, MAX_DATAGRAM, RECORD_HEADER},
    },
    cluster::EdgeId,
    limits::MEDIA_HEADER,
    media::{LEVEL_SILENT, MediaHeader},
};
use tokio::time::{Instant, sleep_until};

use super::{
    given::Given,
    place::{Place, joined},
    servers::{EDGES, Papers},
};
use crate::call::{Failure, ROOM, receiver::histogram};

/// What waits longer for the budget is of no use to anybody.
const STALE: Duration = Duration::from_millis(500);

/// What was sent last is still on its way.
const LINGER: Duration = Duration::from_secs(1);

/// From the beginning of the handshake to the first frame.
const GREETING: Duration = Duration::from_secs(3);

/// When a frame is due, in µs since the origin, and whose it is.
pub type Due = (u64, usize);

/// What is sent, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In order.
    pub schedule: Vec<Due>,
    pub participants: usize,
    /// Codec bytes of a frame.
    pub frame_bytes: usize,
    /// They are voices, which do not wait for the budget.
    pub voices: bool,
    /// Several frames to a datagram, or each in one of its own.
    pub packed: bool,
    pub congestion: Congestion,
    /// The frames that count, in µs since the origin.
    pub window_us: std::ops::Range<u64>,
}

/// What came of the frames of the window.
#[derive(Debug)]
pub struct Outcome {
    pub due: u64,
    /// Given up before they left.
    pub stale: u64,
    /// Ages at arrival, in µs since they were due.
    pub ages_us: Histogram<u64>,
    /// How late they were given, in µs: the machine's part of their ages.
    pub late_us: Histogram<u64>,
    /// How long they then waited for the sender to wake, for others and for the budget, in µs.
    pub waited_us: Histogram<u64>,
    /// Datagrams that left, in the window.
    pub datagrams: u64,
    /// UDP payload that left in the window, in bytes.
    pub sent_bytes: u64,
    /// Packets that the library held for lost.
    pub lost_packets: u64,
    /// How often frames woke the sender.
    pub wakes: u64,
    /// What the budget did.
    pub watch: Watch,
    /// Processor time of each end's thread in the window.
    pub sender_cpu: Duration,
    pub receiver_cpu: Duration,
}

/// What the sending end did.
struct Sent {
    due: u64,
    stale: u64,
    late_us: Histogram<u64>,
    waited_us: Histogram<u64>,
    datagrams: u64,
    bytes: u64,
    lost: u64,
    wakes: u64,
    watch: Watch,
    cpu: Duration,
}

/// What the budget said at each report, from the first on.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    pub reports: u64,
    /// Of these, in which another state than clear.
    pub full: u64,
    pub draining: u64,
    pub other: u64,
    /// The longest queue and the lowest rate, in bytes a second, of the whole run.
    pub queue: Duration,
    pub slowest: Option<f64>,
}

impl Watch {
    fn note(&mut self, budget: &Budget) {
        self.reports += 1;
        match budget.state() {
            BudgetState::Clear => {}
            BudgetState::Full => self.full += 1,
            BudgetState::Draining => self.draining += 1,
            _ => self.other += 1,
        }
        self.queue = self.queue.max(budget.queue_delay());
        let slowest = self.slowest.unwrap_or(f64::INFINITY);
        self.slowest = Some(slowest.min(budget.rate()));
    }
}

/// Sends the whole plan from one place to another.
pub fn run(
    papers: &Papers,
    [from, to]: [Place<'_>; 2],
    pinned: bool,
    plan: &Plan,
) -> Result<Outcome, Failure> {
    let (tell, told) = mpsc::channel();
    let (origin, ids) = (Instant::now() + GREETING, people(plan.participants));
    let transport = Transport {
        congestion: plan.congestion,
        ..Transport::media(1)
    };
    let config = |edge: &str| -> Result<EndpointConfig, Failure> {
        Ok(EndpointConfig {
            credentials: papers.credentials(edge)?,
            accepts: Some(Protocol::Edge),
            transport: transport.clone(),
            rng_seed: None,
        })
    };
    let (settings, at, window, people) = (
        config(EDGES[1])?,
        SocketAddr::new(to.address(), 0),
        plan.window_us.clone(),
        ids.clone(),
    );
    let receiver = to.run(false, move || async move {
        let endpoint = Endpoint::bind(at, settings)?;
        tell.send(endpoint.local_addr()?)?;
        let handshake = endpoint.accept().await.ok_or("nobody dialled")?;
        let connection = handshake.finish().await?;
        receive(&connection, &people, origin, &window).await
    })?;
    let at = told.recv().map_err(|_| "the receiving end did not start");
    let (settings, here, plan) = (
        config(EDGES[0])?,
        SocketAddr::new(from.address(), 0),
        plan.clone(),
    );
    let sender = from.run(pinned, move || async move {
        let endpoint = Endpoint::bind(here, settings)?;
        let other = Expected::Edge(EdgeId::parse(EDGES[1])?);
        let connection = endpoint.connect(at?, Protocol::Edge, &other).await?;
        let sent = send(&connection, &ids, origin, &plan).await?;
        tokio::time::sleep(LINGER).await;
        connection.close(0, "measured");
        endpoint.idle().await;
        Ok(sent)
    })?;
    let sent = joined(sender)?;
    let (ages_us, receiver_cpu) = joined(receiver)?;
    Ok(Outcome {
        due: sent.due,
        stale: sent.stale,
        ages_us,
        late_us: sent.late_us,
        waited_us: sent.waited_us,
        datagrams: sent.datagrams,
        sent_bytes: sent.bytes,
        lost_packets: sent.lost,
        wakes: sent.wakes,
        watch: sent.watch,
        sender_cpu: sent.cpu,
        receiver_cpu,
    })
}

async fn send(
    connection: &Connection,
    ids: &[ParticipantId],
    origin: Instant,
    plan: &Plan,
) -> Result<Sent, Failure> {
    let room = RoomName::parse(ROOM).map_err(|_| "the room's name")?;
    let mut aliases = Aliases::default();
    for id in ids {
        let opened = aliases.open(&room, *id)?;
        aliases.acked(opened.alias);
    }
    let record = RECORD_HEADER + MEDIA_HEADER + plan.frame_bytes;
    // One frame more would leave less room than the packetizer waits for: each leaves by itself.
    let alone = DATAGRAM_HEADER + record + FULL_ENOUGH - 1;
    let most = if plan.packed { MAX_DATAGRAM } else { alone };
    let most = most.min(connection.max_datagram());
    let mut packetizer = Packetizer::new(most, 1);
    if !plan.packed {
        packetizer = packetizer.unheld();
    }
    let mut budget = Budget::new(origin.into_std());
    // The far end's reports come back in datagrams.
    let mut reports = Depacketizer::new(origin.into_std());
    // Under the library's own congestion control nobody else decides.
    let budgeted = plan.congestion == Congestion::Sender;
    let mut watch = Watch::default();
    let given = Given::start(frames(ids, plan), origin);
    let (mut waiting, mut out, mut none) = (VecDeque::new(), Vec::new(), Vec::new());
    let (mut due, mut stale) = (0, 0);
    let (mut late_us, mut waited_us) = (histogram(), histogram());
    let mut begun = None;
    loop {
        let now = Instant::now();
        let now_us = now.saturating_duration_since(origin).as_micros() as u64;
        if begun.is_none() && now_us >= plan.window_us.start {
            begun = Some((
                own_cpu()?,
                packetizer.counts().datagrams,
                connection.stats(),
                given.wakes(),
            ));
        }
        let ended = given.take(&mut waiting);
        while let Some(first) = waiting.front() {
            let counts = plan.window_us.contains(&first.at_us);
            let age = Duration::from_micros(now_us.saturating_sub(first.at_us));
            let waits = budgeted && !plan.voices && budget.room(now.into_std()) <= 0;
            if age <= STALE && waits {
                break;
            }
            due += u64::from(counts);
            if age > STALE {
                stale += u64::from(counts);
                waiting.pop_front();
                continue;
            }
            let outgoing = Outgoing {
                label: aliases.label(&room, first.frame.sender()),
                frame: &first.frame,
                age: Age::from_duration(age),
                since: (origin + Duration::from_micros(first.given_us)).into_std(),
                hops: 0,
                epoch: 0,
            };
            packetizer.push(now.into_std(), outgoing, &mut out)?;
            if counts {
                late_us.saturating_record(first.given_us.saturating_sub(first.at_us));
                waited_us.saturating_record(now_us.saturating_sub(first.given_us));
            }
            waiting.pop_front();
            give(connection, &mut budget, budgeted, now, &mut out).await;
        }
        packetizer.flush(now.into_std(), &mut out);
        give(connection, &mut budget, budgeted, now, &mut out).await;
        budget.set_waiting(!waiting.is_empty());
        if ended && waiting.is_empty() && packetizer.due_at().is_none() {
            break;
        }
        given.set_patience(match waiting.is_empty() {
            true => packetizer.patience(now.into_std()),
            false => 0,
        });
        let room_at = (!waiting.is_empty()).then(|| budget.room_at(now.into_std()));
        let look_at = packetizer.looks_at(now.into_std());
        let next = [room_at, look_at, budget.next_timeout()];
        let next = next.into_iter().flatten().min();
        let next_due = async {
            match next {
                Some(at) => sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = given.ready() => {}
            () = next_due => budget.on_timeout(Instant::now().into_std()),
            datagram = connection.read_datagram() => {
                let now = Instant::now().into_std();
                if let Some(report) = reports.on_datagram(now, &datagram?, &mut none)? {
                    budget.on_feedback(now, &report);
                    watch.note(&budget);
                }
            }
        }
    }
    let (cpu, datagrams, stats, wakes) = begun.ok_or("the window never began")?;
    Ok(Sent {
        due,
        stale,
        late_us,
        waited_us,
        datagrams: packetizer.counts().datagrams - datagrams,
        bytes: connection.stats().sent_bytes - stats.sent_bytes,
        lost: connection.stats().lost_packets - stats.lost_packets,
        wakes: given.wakes() - wakes,
        watch,
        cpu: own_cpu()?.saturating_sub(cpu),
    })
}

async fn give(
    connection: &Connection,
    budget: &mut Budget,
    budgeted: bool,
    now: Instant,
    out: &mut Vec<pulse_proto::backbone::Datagram>,
) {
    for datagram in out.drain(..) {
        if budgeted {
            budget.on_sent(now.into_std(), datagram.sequence, datagram.bytes.len());
            connection.send_datagram_in_turn(datagram.bytes).await;
        } else {
            // What the library holds back makes way for what is newer, as voices want it.
            connection.send_datagram(datagram.bytes);
        }
    }
}

/// Receives until the other end closes: ages of the window's frames, and the processor time from the first
/// of them to the last.
async fn receive(
    connection: &Connection,
    ids: &[ParticipantId],
    origin: Instant,
    window_us: &std::ops::Range<u64>,
) -> Result<(Histogram<u64>, Duration), Failure> {
    let room = RoomName::parse(ROOM).map_err(|_| "the room's name")?;
    let mut aliases = Aliases::default();
    let mut depacketizer = Depacketizer::new(origin.into_std());
    let mut arrived = Vec::new();
    for id in ids {
        let alias = aliases.open(&room, *id)?.alias;
        depacketizer.learn(origin.into_std(), alias, &room, *id, &mut arrived)?;
    }
    let mut ages_us = histogram();
    let mut cpu: Option<(Duration, Duration)> = None;
    loop {
        let next = depacketizer.report_at();
        let due = async {
            match next {
                Some(at) => sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            datagram = connection.read_datagram() => {
                let datagram = match datagram {
                    Ok(datagram) => datagram,
                    Err(ConnectionError::Closed { .. }) => break,
                    Err(error) => return Err(error.into()),
                };
                let now = Instant::now();
                depacketizer.on_datagram(now.into_std(), &datagram, &mut arrived)?;
                let now_us = now.saturating_duration_since(origin).as_micros() as u64;
                for one in arrived.drain(..) {
                    let due_us = one.header.captured_us;
                    if window_us.contains(&due_us) {
                        ages_us.saturating_record(now_us.saturating_sub(due_us));
                    }
                }
                // Asking costs a µs or two; each hundredth frame is often enough.
                if window_us.contains(&now_us) && (cpu.is_none() || ages_us.len() % 100 < 2) {
                    let now = own_cpu()?;
                    cpu = Some((cpu.map_or(now, |(first, _)| first), now));
                }
            }
            () = due => {
                if let Some(report) = depacketizer.report(Instant::now().into_std()) {
                    connection.send_datagram(report);
                }
            }
        }
    }
    let (first, last) = cpu.unwrap_or_default();
    Ok((ages_us, last.saturating_sub(first)))
}

/// Every frame of a plan with its due time, in order.
fn frames(ids: &[ParticipantId], plan: &Plan) -> Vec<(u64, Frame)> {
    let codec = vec![0x5a; plan.frame_bytes];
    let mut sequences = vec![0_u32; ids.len()];
    let frame = |&(at_us, who): &Due| {
        sequences[who] = sequences[who].wrapping_add(1);
        let header = header(sequences[who], at_us);
        (at_us, header.encode(ids[who], &codec))
    };
    plan.schedule.iter().map(frame).collect()
}

fn header(sequence: u32, captured_us: u64) -> MediaHeader {
    MediaHeader {
        track: 0,
        config: 0,
        discardable: false,
        last: true,
        spatial: 0,
        temporal: 0,
        reference: 0,
        level: LEVEL_SILENT,
        chunk: 0,
        sequence,
        captured_us,
    }
}

fn people(count: usize) -> Vec<ParticipantId> {
    let ids = 0..count as u128;
    ids.map(|id| ParticipantId::from_random(id.to_be_bytes()))
        .collect()
}

/// The processor time that this thread has used, to the nanosecond.
fn own_cpu() -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let used = stat.split(' ').next().ok_or("an unknown /proc")?;
    Ok(Duration::from_nanos(used.parse()?))
}
