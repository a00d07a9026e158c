//! What one receiver that stops reading costs the others, what it holds, and how soon it hears the
//! present again. Windows with and without the stall alternate in one run, and each pair is given
//! the same frames, so that a drift of the machine falls on both alike.

mod call;

use std::{collections::HashSet, time::Duration};

use call::{
    Failure, ROOM,
    edge::{EdgeProcess, metric, own_cpu, pin_generator},
    figures::{Options, Row, median, print},
    looks::{Looked, Looks},
    publisher::{self, MICROPHONE},
    receiver::{Assembly, Audience, LOST_US, Seen, histogram},
    schedule::{Due, stretch},
};
use hdrhistogram::Histogram;
use pulse_client::{Client, Event, JoinOptions, SocketOptions};
use tokio::time::{Instant, sleep_until};

const OTHERS: usize = 20;

/// The others' p99 may be worse by the larger of the two.
const WORSE_RATIO: f64 = 0.2;
const WORSE_MS: f64 = 2.0;
const HELD_BYTES: f64 = 256.0 * 1024.0;
const FRESH_MS: f64 = 500.0;

/// Voice that is older is of no use to a conversation; a picture may be a bit older.
const FRESH_VOICE: Duration = Duration::from_millis(200);
const FRESH_PICTURE: Duration = Duration::from_millis(500);

/// Until the first window, and after each stall.
const WARM_UP_S: u64 = 3;
const RECOVERY_S: u64 = 3;

/// A phone's: what lies in it was lost to freshness already.
const SMALL_BUFFER_BYTES: u32 = 16 * 1024;

fn main() -> Result<(), Failure> {
    let Some(options) = Options::read()? else {
        return Ok(());
    };
    let pinned = pin_generator();
    if !pinned {
        eprintln!("not pinned: the edge and what measures it share cores");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let plan = Plan {
        pairs: options.pairs,
        window_s: options.window_s,
    };
    let rows = runtime.block_on(measure(pinned, plan))?;
    let title = format!(
        "One stalled reader beside {OTHERS}, {} pairs of {} s",
        plan.pairs, plan.window_s
    );
    print(&options, &title, &rows);
    Ok(())
}

/// A run: warm-up, then for each pair a window without and one with the stall, and a recovery.
#[derive(Clone, Copy)]
struct Plan {
    pairs: usize,
    window_s: u64,
}

impl Plan {
    fn pair_s(self) -> u64 {
        2 * self.window_s + RECOVERY_S
    }

    /// Where a pair begins.
    fn start_s(self, pair: usize) -> u64 {
        WARM_UP_S + pair as u64 * self.pair_s()
    }

    fn stall_s(self, pair: usize) -> std::ops::Range<u64> {
        let start_s = self.start_s(pair) + self.window_s;
        start_s..start_s + self.window_s
    }

    /// The window of a moment: twice its pair, and one more during the stall.
    fn window(self, at_us: u64) -> Option<usize> {
        let since_s = (at_us / 1_000_000).checked_sub(WARM_UP_S)?;
        let pair = usize::try_from(since_s / self.pair_s()).ok()?;
        let part = usize::try_from(since_s % self.pair_s() / self.window_s).ok()?;
        (pair < self.pairs && part < 2).then_some(2 * pair + part)
    }

    fn schedule(self) -> Vec<Due> {
        let mut all = stretch(0, WARM_UP_S, 0);
        for pair in 0..self.pairs {
            let (start_s, seed) = (self.start_s(pair), 1 + pair as u64);
            all.extend(stretch(start_s, self.window_s, seed));
            all.extend(stretch(start_s + self.window_s, self.window_s, seed));
            all.extend(stretch(start_s + 2 * self.window_s, RECOVERY_S, seed));
        }
        all
    }
}

async fn measure(pinned: bool, plan: Plan) -> Result<Vec<Row>, Failure> {
    let edge = EdgeProcess::start(pinned)?;
    let url = edge.url();
    let origin = Instant::now() + Duration::from_secs(2);
    let speaker = publisher::join(&url).await?;
    let windows = 2 * plan.pairs;
    let audience = Audience::join(&url, OTHERS, origin, windows, move |header| {
        plan.window(header.captured_us)
    })
    .await?;
    let options = JoinOptions {
        socket: SocketOptions {
            receive_buffer_bytes: Some(SMALL_BUFFER_BYTES),
            ..SocketOptions::default()
        },
        ..JoinOptions::new(ROOM, "Stalled")
    };
    let stalled = Client::connect(&url, &options).await?;

    let schedule = plan.schedule();
    let mut given = vec![0; windows];
    for due in &schedule {
        if let Some(window) = plan.window(due.at_us) {
            given[window] += OTHERS as u64;
        }
    }
    let cpu_before = (edge.cpu()?, own_cpu()?);
    let looks = Looks::start((edge.ops, edge.process()), origin, windows, move |at_us| {
        plan.window(at_us)
    });
    let publisher = publisher::publish(speaker, schedule, origin);
    let comebacks = stall(stalled, origin, plan).await?;
    let published = publisher.finish().await?;
    let seconds = origin.elapsed().as_secs_f64();
    let used = |now: Duration, before: Duration| (now - before).as_secs_f64() / seconds * 100.0;
    let edge_cpu = used(edge.cpu()?, cpu_before.0);
    let own_cpu = used(own_cpu()?, cpu_before.1);
    let looked = tokio::task::spawn_blocking(|| looks.finish()).await??;
    let dropped = metric(edge.ops, "pulse_dropped_total")?;
    let seen = audience.finish().await?;

    if held(&looked, 1) == 0.0 || dropped == 0.0 {
        return Err("nothing was held or dropped: there was no stall to measure".into());
    }
    let late_ms = lateness(plan, &published.late_us);
    let mut rows = others(seen, &given, &late_ms, &looked);
    rows.extend(stalled_one(&looked, &comebacks)?);
    rows.extend([
        Row::new("dropped_by_the_edge", dropped, "messages"),
        Row::new(
            "keyframes_asked_for",
            published.requested as f64,
            "requests",
        ),
        Row::new("generator_late_p99_ms", median(late_ms), "ms"),
        Row::new(
            "edge_waited_for_its_core_ms",
            median(looked.iter().map(Looked::waited_ms)),
            "ms",
        ),
        Row::new("edge_cpu", edge_cpu, "% core"),
        Row::new("generator_cpu", own_cpu, "% core"),
    ]);
    Ok(rows)
}

/// How late the speaker's clock was in each window, p99 in ms.
fn lateness(plan: Plan, late_us: &[(u64, u64)]) -> Vec<f64> {
    let mut windows = vec![histogram(); 2 * plan.pairs];
    for (at_us, late_us) in late_us {
        if let Some(window) = plan.window(*at_us) {
            windows[window].saturating_record(*late_us);
        }
    }
    let p99_ms = |window: &Histogram<u64>| window.value_at_quantile(0.99) as f64 / 1e3;
    windows.iter().map(p99_ms).collect()
}

/// The figures of the healthy ones.
fn others(seen: Seen, given: &[u64], late_ms: &[f64], looked: &[Looked]) -> Vec<Row> {
    let mut p99 = [Vec::new(), Vec::new()];
    let mut p50 = [Vec::new(), Vec::new()];
    let mut lost = [0, 0];
    for (number, (mut window, given)) in seen.windows.into_iter().zip(given).enumerate() {
        let stalled = number % 2;
        let missing = given.saturating_sub(window.len());
        lost[stalled] += missing;
        window.saturating_record_n(LOST_US, missing);
        let ms = |quantile| window.value_at_quantile(quantile) as f64 / 1e3;
        p99[stalled].push(ms(0.99));
        p50[stalled].push(ms(0.5));
    }
    for (number, (late_ms, looked)) in late_ms.iter().zip(looked).enumerate() {
        let (pair, part) = (number / 2, number % 2);
        eprintln!(
            "pair {pair} {:<7} the stall: p99 {:7.2} ms; the generator was {late_ms:.2} ms late, \
             the edge waited {:.1} ms for its core",
            ["without", "with"][part],
            p99[part][pair],
            looked.waited_ms(),
        );
    }
    let pairs = || p99[0].iter().zip(&p99[1]);
    let worse_ms = median(pairs().map(|(without, with)| with - without));
    let ratio = median(pairs().map(|(without, with)| with / without));
    let baseline_ms = median(p99[0].iter().copied());
    let bar_ms = WORSE_MS.max(WORSE_RATIO * baseline_ms);
    vec![
        Row::new("others_p99_worse_ms", worse_ms, "ms").at_most(bar_ms),
        Row::new("others_p99_ratio", ratio, "x"),
        Row::new("others_p99_without_ms", baseline_ms, "ms"),
        Row::new("others_p99_with_ms", median(p99[1].iter().copied()), "ms"),
        Row::new(
            "others_p50_without_ms",
            median(p50[0].iter().copied()),
            "ms",
        ),
        Row::new("others_p50_with_ms", median(p50[1].iter().copied()), "ms"),
        Row::new("others_lost_without", lost[0] as f64, "frames"),
        Row::new("others_lost_with", lost[1] as f64, "frames"),
        Row::new("others_unsound", seen.unsound as f64, "frames").at_most(0.0),
    ]
}

/// The figures of the stalled one.
fn stalled_one(looked: &[Looked], comebacks: &[Comeback]) -> Result<Vec<Row>, Failure> {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let mut fresh = Vec::new();
    let mut ages = Vec::new();
    let mut pictures = Vec::new();
    for comeback in comebacks {
        let (after, age) = comeback
            .voice
            .ok_or("no fresh voice came after the stall")?;
        fresh.push(ms(after));
        ages.push(ms(age));
        pictures.push(ms(comeback
            .picture
            .ok_or("no picture came after the stall")?));
    }
    let longest = fresh.iter().copied().fold(0.0, f64::max);
    let stale = comebacks.iter().map(|comeback| comeback.stale as f64);
    Ok(vec![
        Row::new("stalled_held_bytes", held(looked, 1), "B").at_most(HELD_BYTES),
        Row::new("baseline_held_bytes", held(looked, 0), "B"),
        Row::new("stalled_voice_fresh_ms", median(fresh), "ms").at_most(FRESH_MS),
        Row::new("stalled_voice_fresh_longest_ms", longest, "ms").at_most(FRESH_MS),
        Row::new("stalled_first_fresh_age_ms", median(ages), "ms"),
        Row::new("stalled_stale_packets", median(stale), "packets"),
        Row::new("stalled_picture_live_ms", median(pictures), "ms"),
    ])
}

/// The way back of the stalled one into the present.
#[derive(Default)]
struct Comeback {
    /// How long it took until no old packet came any more, and the age of the first fresh one.
    voice: Option<(Duration, Duration)>,
    /// Packets of voice too old to play, which were in the kernel's buffers.
    stale: u64,
    /// How long it took until a picture that it can decode was of the present.
    picture: Option<Duration>,
}

/// Reads, stops reading in the windows that say so, and watches what comes afterwards.
async fn stall(mut client: Client, origin: Instant, plan: Plan) -> Result<Vec<Comeback>, Failure> {
    let mut assembly = Assembly::new(origin);
    let mut decodable = HashSet::new();
    let mut comebacks = Vec::with_capacity(plan.pairs);
    for pair in 0..plan.pairs {
        let stall_s = plan.stall_s(pair);
        let at = |seconds| origin + Duration::from_secs(seconds);
        read(
            &mut client,
            at(stall_s.start),
            &mut assembly,
            &mut decodable,
            None,
        )
        .await?;
        client.pause_reading();
        sleep_until(at(stall_s.end)).await;
        client.resume_reading();
        let mut comeback = Comeback::default();
        let until = at(stall_s.end + RECOVERY_S);
        read(
            &mut client,
            until,
            &mut assembly,
            &mut decodable,
            Some(&mut comeback),
        )
        .await?;
        comebacks.push(comeback);
    }
    client.leave().await;
    Ok(comebacks)
}

async fn read(
    client: &mut Client,
    until: Instant,
    assembly: &mut Assembly,
    decodable: &mut HashSet<u32>,
    mut comeback: Option<&mut Comeback>,
) -> Result<(), Failure> {
    let began = Instant::now();
    loop {
        let event = tokio::select! {
            event = client.next() => event,
            () = sleep_until(until) => return Ok(()),
        };
        let (header, frame) = match event {
            Event::Media { header, frame, .. } => (header, frame),
            Event::Closed(closed) => return Err(format!("the stalled one's end: {closed}").into()),
            _ => continue,
        };
        let Some(arrival) = assembly.push(&header, &frame) else {
            continue;
        };
        if let Some(fault) = arrival.fault {
            return Err(format!("frame {}: {fault}", header.sequence).into());
        }
        let after = began.elapsed();
        if header.track == MICROPHONE {
            if let Some(comeback) = &mut comeback {
                if arrival.age > FRESH_VOICE {
                    comeback.stale += 1;
                    comeback.voice = None;
                } else {
                    comeback.voice.get_or_insert((after, arrival.age));
                }
            }
            continue;
        }
        let needs = header.sequence.wrapping_sub(u32::from(header.reference));
        if header.keyframe() || decodable.contains(&needs) {
            decodable.insert(header.sequence);
            if let Some(comeback) = &mut comeback
                && arrival.age <= FRESH_PICTURE
            {
                comeback.picture.get_or_insert(after);
            }
        }
    }
}

/// The most that was held in all windows without (0) or with (1) the stall.
fn held(looked: &[Looked], part: usize) -> f64 {
    let windows = looked.iter().skip(part).step_by(2);
    windows.map(|looked| looked.held_bytes).fold(0.0, f64::max)
}
