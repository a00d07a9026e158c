//! How soon somebody who joins a call that is on has the first byte it can decode: from the JOIN on
//! an open socket to the first chunk of a keyframe.

mod call;

use std::time::Duration;

use call::{
    Failure, ROOM,
    edge::{EdgeProcess, pin_generator},
    figures::{Options, Row, print},
    publisher::{self, CAMERA},
    receiver::{Audience, histogram},
    schedule::{Random, stretch},
};
use hdrhistogram::Histogram;
use pulse_client::{Address, Connection, Incoming, SocketOptions};
use pulse_proto::{
    Frame, FrameType, PROTOCOL_VERSION, ParticipantId, SUBPROTOCOL,
    control::{Hello, Join, encode},
    media::MediaHeader,
};
use tokio::time::{Instant, sleep, timeout};

const JOINS: usize = 100;
const OTHERS: usize = 20;
const FIRST_BYTE_MS: f64 = 20.0;

/// Between two joins, so that they meet every age of the last keyframe.
const PAUSE_MS: std::ops::Range<u64> = 20..220;

/// The call's beginning, and its length: all pauses at their longest, and some more.
const WARM_UP: Duration = Duration::from_secs(3);
const CALL_S: u64 = 30;

/// What takes this long never comes.
const NEVER: Duration = Duration::from_secs(10);

fn main() -> Result<(), Failure> {
    let Some(options) = Options::read()? else {
        return Ok(());
    };
    let pinned = pin_generator();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let rows = runtime.block_on(measure(pinned))?;
    print(&options, "Late join, at the edge", &rows);
    Ok(())
}

/// All joins.
struct Times {
    welcome_us: Histogram<u64>,
    first_byte_us: Histogram<u64>,
    whole_us: Histogram<u64>,
    after_welcome_us: Histogram<u64>,
    /// The first chunk of the picture was not a keyframe's.
    undecodable: u64,
}

async fn measure(pinned: bool) -> Result<Vec<Row>, Failure> {
    let edge = EdgeProcess::start(pinned)?;
    let origin = Instant::now() + Duration::from_secs(1);
    let client = publisher::join(&edge.url()).await?;
    let audience = Audience::join(&edge.url(), OTHERS, origin, 0, |_| None).await?;
    let publisher = publisher::publish(client, stretch(0, CALL_S, 1), origin);
    tokio::time::sleep_until(origin + WARM_UP).await;

    let address = Address::parse(&edge.url())?;
    let mut random = Random(2);
    let mut times = Times {
        welcome_us: histogram(),
        first_byte_us: histogram(),
        whole_us: histogram(),
        after_welcome_us: histogram(),
        undecodable: 0,
    };
    for number in 0..JOINS {
        let pause_ms = PAUSE_MS.start + random.below(PAUSE_MS.end - PAUSE_MS.start);
        sleep(Duration::from_millis(pause_ms)).await;
        timeout(NEVER, join_once(&address, number, &mut times))
            .await
            .map_err(|_| "a late joiner saw nothing")??;
    }
    let audience_stayed = audience.finish().await;
    drop(publisher);
    audience_stayed?;
    Ok(rows(&times))
}

async fn join_once(address: &Address, number: usize, times: &mut Times) -> Result<(), Failure> {
    let mut connection =
        Connection::open(address, "/v2", Some(SUBPROTOCOL), &SocketOptions::default()).await?;
    let join = Join {
        hello: Hello {
            version: PROTOCOL_VERSION,
            features: Vec::new(),
            agent: "late joiner".to_owned(),
        },
        room: ROOM.to_owned(),
        name: format!("Late {number}"),
        resume: None,
    };
    let join = encode(ParticipantId::ZERO, &join);
    let asked = Instant::now();
    connection.send(&join).await?;
    let (mut welcome, mut first) = (None, None);
    loop {
        let bytes = match connection.next().await {
            Incoming::Binary(bytes) => bytes,
            other => return Err(format!("a late joiner got {other:?}").into()),
        };
        let elapsed = asked.elapsed();
        let frame = Frame::parse(bytes)?;
        match frame.kind() {
            FrameType::Welcome => welcome = Some(elapsed),
            FrameType::Media => {
                let header = MediaHeader::parse(&frame)?;
                if header.track != CAMERA {
                    continue;
                }
                if header.keyframe() {
                    first.get_or_insert(elapsed);
                } else if first.is_none() {
                    times.undecodable += 1;
                }
                if header.keyframe() && header.last {
                    break;
                }
            }
            _ => {}
        }
    }
    let whole = asked.elapsed();
    let welcome = welcome.ok_or("media came before WELCOME")?;
    let first = first.ok_or("a keyframe without a beginning")?;
    let record = |histogram: &mut Histogram<u64>, time: Duration| {
        histogram.saturating_record(time.as_micros() as u64);
    };
    record(&mut times.welcome_us, welcome);
    record(&mut times.first_byte_us, first);
    record(&mut times.whole_us, whole);
    record(&mut times.after_welcome_us, first.saturating_sub(welcome));
    connection.close().await;
    Ok(())
}

fn rows(times: &Times) -> Vec<Row> {
    let ms = |name, histogram: &Histogram<u64>, quantile| {
        let value = histogram.value_at_quantile(quantile);
        Row::ms(name, Duration::from_micros(value))
    };
    vec![
        ms("late_join_first_byte_p50_ms", &times.first_byte_us, 0.5),
        ms("late_join_first_byte_p95_ms", &times.first_byte_us, 0.95).at_most(FIRST_BYTE_MS),
        ms("late_join_welcome_p95_ms", &times.welcome_us, 0.95),
        ms(
            "late_join_after_welcome_p50_ms",
            &times.after_welcome_us,
            0.5,
        ),
        ms(
            "late_join_after_welcome_p95_ms",
            &times.after_welcome_us,
            0.95,
        ),
        ms("late_join_whole_keyframe_p95_ms", &times.whole_us, 0.95),
        Row::new(
            "late_join_undecodable_first",
            times.undecodable as f64,
            "chunks",
        )
        .at_most(0.0),
        Row::new("late_joins", times.first_byte_us.len() as f64, "joins"),
    ]
}
