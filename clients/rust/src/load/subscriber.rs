//! The receiving threads of a load test. One task a subscriber reads its stream into the thread's one
//! buffer and verifies what came where it lies; a subscriber owns no buffer but for a message that is
//! not whole yet.

use std::{
    cell::RefCell,
    collections::HashSet,
    io,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Poll, ready},
    time::Duration,
};

use hdrhistogram::Histogram;
use pulse_proto::{
    Frame, FrameType, ParticipantId,
    control::{Leave, Subscribe, TrackRef, encode},
    id::ID_LEN,
};
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout},
};

use super::{
    join::{self, Joined, RawStream},
    ledger::{Ledger, Step},
    plan::{Plan, Slow},
    publisher::{CAMERA, Ramp},
    schedule::{Kind, Random, kind_of},
    stamp::{Chunk, Verdict, verify},
    tally::Tally,
    wire::{self, BadFrame, Piece, Reader},
};
use crate::{
    connection::SocketOptions,
    limits::{
        CLOSE_TIMEOUT, FRESH_PICTURE, FRESH_VOICE, LOAD_READ_BYTES, LOAD_TURN_INTERVAL,
        MAX_DELAY_US, PING_INTERVAL, SLOW_READ_BYTES, SLOW_RECEIVE_BUFFER_BYTES,
    },
};

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; LOAD_READ_BYTES]);
}

/// What all receiving threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) plan: Plan,
    /// The run's clock is 0 here.
    pub(crate) origin: Instant,
    /// When the first frame may be due, in ns of that clock; 0 while it is not known.
    pub(crate) start_ns: AtomicU64,
    /// The publishers that joined, by number over all rooms.
    pub(crate) publishers: Vec<Option<ParticipantId>>,
    pub(crate) ids: HashSet<ParticipantId>,
    pub(crate) ramp: Arc<Ramp>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// One subscriber at its end.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) room: usize,
    pub(crate) number: usize,
    /// One a track of its room.
    pub(crate) ledgers: Vec<Ledger>,
    /// Why its connection ended before the test did.
    pub(crate) closed: Option<String>,
    /// Ages of its voice in µs, if asked for.
    pub(crate) age_us: Option<Histogram<u32>>,
    pub(crate) comeback: Comeback,
}

/// The way of a slow one back into the present.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Comeback {
    /// When it read on.
    since_ns: Option<u64>,
    /// Until no old voice came any more.
    pub(crate) voice: Option<Duration>,
    /// Until a picture that it can decode was of the present.
    pub(crate) picture: Option<Duration>,
}

/// Runs those subscribers whose number has this remainder, until everybody is told to stop.
pub(crate) fn run(
    shared: &Arc<Shared>,
    thread: usize,
    tally: &Arc<Mutex<Tally>>,
) -> io::Result<Vec<End>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut running = JoinSet::new();
        let plan = &shared.plan;
        for index in (thread..plan.rooms * plan.subscribers).step_by(plan.threads) {
            running.spawn(Box::pin(subscribe(
                Arc::clone(shared),
                index,
                Arc::clone(tally),
            )));
        }
        let mut turns = interval_at(Instant::now() + LOAD_TURN_INTERVAL, LOAD_TURN_INTERVAL);
        turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut ends = Vec::new();
        loop {
            tokio::select! {
                biased;
                due = turns.tick() => {
                    let late_us = due.elapsed().as_micros() as u64;
                    if shared.start_ns.load(Ordering::Relaxed) > 0
                        && let Ok(mut tally) = tally.lock()
                    {
                        tally.turn_us.saturating_record(late_us);
                    }
                }
                ended = running.join_next() => match ended {
                    Some(Ok(end)) => ends.extend(end),
                    Some(Err(error)) => return Err(io::Error::other(error)),
                    None => return Ok(ends),
                }
            }
        }
    })
}

/// Joins when it is its turn, and receives; `None` if it never got in.
async fn subscribe(shared: Arc<Shared>, index: usize, tally: Arc<Mutex<Tally>>) -> Option<End> {
    let plan = &shared.plan;
    // Rooms fill evenly.
    let (room, number) = (index % plan.rooms, index / plan.rooms);
    let slow = plan.slow.filter(|slow| number < slow.subscribers);
    let socket = SocketOptions {
        receive_buffer_bytes: slow
            .map(|_| SLOW_RECEIVE_BUFFER_BYTES)
            .or(plan.socket.receive_buffer_bytes),
        ..plan.socket.clone()
    };
    let mut random = Random(plan.seed ^ (index as u64) << 32);
    let mut stop = shared.stop.clone();
    let joining = async {
        sleep_until(shared.ramp.at(plan.rooms * plan.publishers() + index)).await;
        let name = plan.name("subscriber", number);
        let mask = random.next() as u32;
        Box::pin(join::join(
            &plan.address,
            plan.room_name(room),
            name,
            &socket,
            mask,
        ))
        .await
    };
    let joined = tokio::select! {
        joined = joining => joined,
        _ = stop.wait_for(|stop| *stop) => return None,
    };
    shared.ramp.joined(&joined);
    let Joined { stream, reader, id } = joined.ok()?;
    let first = room * plan.streams();
    let kinds = (0..plan.streams()).map(|stream| {
        let (kind, publisher) = kind_of(plan, stream);
        (kind, kind == Kind::Voice || plan.layout.shows(publisher))
    });
    let desk = Desk {
        first: first as u64,
        tracks: kinds
            .map(|(kind, wanted)| (kind, wanted, Ledger::default()))
            .collect(),
        age_us: (plan.per_subscriber)
            .then(|| Histogram::new_with_bounds(1, MAX_DELAY_US, 2).ok())
            .flatten(),
        comeback: Comeback::default(),
        shared: Arc::clone(&shared),
        tally,
    };
    let (desk, closed) = Box::pin(receive(stream, reader, id, desk, room, slow, random)).await;
    Some(End {
        room,
        number,
        ledgers: desk
            .tracks
            .into_iter()
            .map(|(_, _, ledger)| ledger)
            .collect(),
        closed,
        age_us: desk.age_us,
        comeback: desk.comeback,
    })
}

/// Where one subscriber's messages are verified and entered.
#[derive(Debug)]
struct Desk {
    /// The first stream of its room.
    first: u64,
    tracks: Vec<(Kind, bool, Ledger)>,
    age_us: Option<Histogram<u32>>,
    comeback: Comeback,
    shared: Arc<Shared>,
    tally: Arc<Mutex<Tally>>,
}

impl Desk {
    /// Takes what one read brought; `Ok` with the code of a close, if one came.
    fn take(
        &mut self,
        reader: &mut Reader,
        bytes: &[u8],
        now_ns: u64,
    ) -> Result<Option<Option<u16>>, BadFrame> {
        let mut closed = None;
        let tally = Arc::clone(&self.tally);
        // Whoever looks holds it for some µs each second.
        let mut tally = tally.lock().map_err(|_| BadFrame)?;
        reader.push(bytes, |piece| match piece {
            Piece::Binary(message) => self.message(&mut tally, message, now_ns),
            Piece::Close(code) => closed = Some(code),
            Piece::Other => {}
        })?;
        Ok(closed)
    }

    fn message(&mut self, tally: &mut Tally, message: &[u8], now_ns: u64) {
        match verify(message) {
            Verdict::Sound(chunk) => {
                let place = u64::from(chunk.stream)
                    .checked_sub(self.first)
                    .and_then(|place| usize::try_from(place).ok());
                match place.and_then(|place| self.tracks.get_mut(place)) {
                    Some((kind, true, ledger)) => {
                        let (kind, step) = (*kind, ledger.take(&chunk));
                        self.enter(tally, kind, step, &chunk, message.len(), now_ns);
                    }
                    Some((kind, false, _)) => tally.class(*kind).unwanted += 1,
                    None => tally.corrupt += 1,
                }
            }
            Verdict::Corrupt => {
                let sender = message.get(..ID_LEN).map(ParticipantId::parse);
                match sender {
                    Some(Ok(sender)) if !self.shared.ids.contains(&sender) => tally.foreign += 1,
                    _ => tally.corrupt += 1,
                }
            }
            Verdict::Control(FrameType::Error) => tally.errors += 1,
            Verdict::Control(_) => {}
            Verdict::Unreadable => tally.corrupt += 1,
        }
    }

    fn enter(
        &mut self,
        tally: &mut Tally,
        kind: Kind,
        step: Step,
        chunk: &Chunk,
        bytes: usize,
        now_ns: u64,
    ) {
        let class = tally.class(kind);
        class.messages += 1;
        class.bytes += bytes as u64;
        let Step::Whole { decodable } = step else {
            return;
        };
        let age_ns = now_ns.saturating_sub(chunk.due_ns);
        class.latency_us.saturating_record(age_ns / 1_000);
        if kind == Kind::Voice
            && let Some(age_us) = &mut self.age_us
        {
            age_us.saturating_record(age_ns / 1_000);
        }
        if let Some(since_ns) = self.comeback.since_ns {
            let after = Duration::from_nanos(now_ns.saturating_sub(since_ns));
            let age = Duration::from_nanos(age_ns);
            match kind {
                Kind::Voice if age > FRESH_VOICE => self.comeback.voice = None,
                Kind::Voice => _ = self.comeback.voice.get_or_insert(after),
                Kind::Picture if decodable && age <= FRESH_PICTURE => {
                    self.comeback.picture.get_or_insert(after);
                }
                Kind::Picture => {}
            }
        }
    }

    fn now_ns(&self) -> u64 {
        self.shared.origin.elapsed().as_nanos() as u64
    }

    /// Until when a slow one reads nothing more after so many bytes; `None`: it reads on at once.
    fn hold(&mut self, slow: Slow, bytes: usize) -> Option<Instant> {
        let start_ns = self.shared.start_ns.load(Ordering::Relaxed);
        if start_ns == 0 || self.comeback.since_ns.is_some() {
            return None;
        }
        let after = |time: Duration| start_ns.saturating_add(time.as_nanos() as u64);
        let (begin_ns, now_ns) = (after(slow.after), self.now_ns());
        let end_ns = slow
            .lasting
            .map_or(u64::MAX, |lasting| after(slow.after + lasting));
        if now_ns < begin_ns {
            return None;
        }
        if now_ns >= end_ns {
            self.comeback.since_ns = Some(now_ns);
            return None;
        }
        let pause_ns = match slow.bytes_per_second {
            // Looks again in an hour.
            0 => 3_600_000_000_000,
            rate => bytes as u64 * 1_000_000_000 / rate,
        };
        let until_ns = now_ns.saturating_add(pause_ns).min(end_ns);
        Some(self.shared.origin + Duration::from_nanos(until_ns))
    }
}

/// Receives until everybody is told to stop, or the connection is over; then says why.
async fn receive(
    mut stream: RawStream,
    mut reader: Reader,
    id: ParticipantId,
    mut desk: Desk,
    room: usize,
    slow: Option<Slow>,
    mut random: Random,
) -> (Desk, Option<String>) {
    let shared = Arc::clone(&desk.shared);
    let mut stop = shared.stop.clone();
    let mut stopped = pin!(async {
        // A sender that is gone is a reason to stop, too.
        let _ = stop.wait_for(|stop| *stop).await;
    });
    let mut tick = pin!(sleep(PING_INTERVAL));
    let mut holding = pin!(sleep(Duration::ZERO));
    let mut held = false;
    let most = if slow.is_some() {
        SLOW_READ_BYTES
    } else {
        LOAD_READ_BYTES
    };
    if let Some(wish) = wish(&shared, room)
        && let Err(closed) = say(&mut stream, &encode(id, &wish), &mut random).await
    {
        return (desk, Some(closed));
    }
    loop {
        tokio::select! {
            biased;
            taken = take(&mut stream, &mut reader, &mut desk, most), if !held => match taken {
                Ok(count) => {
                    if let Some(until) = slow.and_then(|slow| desk.hold(slow, count)) {
                        holding.as_mut().reset(until);
                        held = true;
                    }
                }
                Err(closed) => return (desk, Some(closed)),
            },
            () = &mut stopped => break,
            () = &mut holding, if held => {
                held = slow.and_then(|slow| desk.hold(slow, 0)).is_some_and(|until| {
                    holding.as_mut().reset(until);
                    until > Instant::now()
                });
            }
            () = &mut tick => {
                tick.as_mut().reset(Instant::now() + PING_INTERVAL);
                let ping = join::ping(id, shared.origin.elapsed());
                if let Err(closed) = say(&mut stream, &ping, &mut random).await {
                    return (desk, Some(closed));
                }
            }
        }
    }
    // A server that is gone needs no goodbye. Another reads it, and closes.
    if say(&mut stream, &encode(id, &Leave {}), &mut random)
        .await
        .is_ok()
    {
        let rest = async {
            while take(&mut stream, &mut reader, &mut desk, most)
                .await
                .is_ok()
            {}
        };
        let _ = timeout(CLOSE_TIMEOUT, rest).await;
    }
    (desk, None)
}

/// One read, verified; its bytes. `Err` says why the connection is over.
async fn take(
    stream: &mut RawStream,
    reader: &mut Reader,
    desk: &mut Desk,
    most: usize,
) -> Result<usize, String> {
    std::future::poll_fn(|cx| {
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer.get_mut(..most).unwrap_or_default());
            if let Err(error) = ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer)) {
                return Poll::Ready(Err(error.to_string()));
            }
            let bytes = buffer.filled();
            if bytes.is_empty() {
                return Poll::Ready(Err("end of stream".to_owned()));
            }
            let now_ns = desk.now_ns();
            Poll::Ready(match desk.take(reader, bytes, now_ns) {
                Ok(None) => Ok(bytes.len()),
                Ok(Some(code)) => Err(format!("closed with code {}", code.unwrap_or(1_005))),
                Err(error) => Err(error.to_string()),
            })
        })
    })
    .await
}

async fn say(stream: &mut RawStream, frame: &Frame, random: &mut Random) -> Result<(), String> {
    let mut bytes = Vec::new();
    wire::append_binary(&mut bytes, frame.bytes(), random.next() as u32);
    match timeout(CLOSE_TIMEOUT, stream.write_all(&bytes)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it took no message of ours for 2 s".to_owned()),
    }
}

/// What a subscriber asks for, if that is not everything.
fn wish(shared: &Shared, room: usize) -> Option<Subscribe> {
    let plan = &shared.plan;
    let own = room * plan.publishers();
    let paused: Vec<TrackRef> = (0..plan.video_publishers)
        .filter(|publisher| !plan.layout.shows(*publisher))
        .filter_map(|publisher| *shared.publishers.get(own + publisher)?)
        .map(|participant| TrackRef {
            participant,
            track: CAMERA,
        })
        .collect();
    (!paused.is_empty()).then(|| Subscribe {
        paused,
        ..Subscribe::everything()
    })
}
