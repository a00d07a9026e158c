//! `pulse load` against a real edge: everything that was sent is accounted for and as it was sent, and
//! whoever asks for what cannot be is told.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of a test fail by panicking, too"
)]

use std::{
    process::{Command, Output},
    sync::atomic::AtomicBool,
    thread,
    time::Duration,
};

use edge_node::{Config, Edge};
use pulse_client::{
    Address,
    load::{self, Layout, LoadError, Outcome, Plan, Slow},
};
use tokio::sync::oneshot;

/// Makes a load test of a real edge.
fn load(change: impl FnOnce(&mut Plan)) -> Result<Outcome, LoadError> {
    let (tell, told) = std::sync::mpsc::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let edge = Edge::start(Config::on_free_ports()).await.unwrap();
            tell.send(edge.client_addr()).unwrap();
            let _ = stopped.await;
            edge.shut_down().await;
        });
    });
    let address = Address::parse(&format!("http://{}", told.recv().unwrap())).unwrap();
    let mut plan = Plan {
        duration: Some(Duration::from_secs(2)),
        joins_per_second: 200.0,
        ..Plan::new(address, "load")
    };
    change(&mut plan);
    let outcome = load::run(&plan, &AtomicBool::new(false), |_| {});
    drop(stop);
    server.join().unwrap();
    outcome
}

#[test]
fn every_frame_is_accounted_for() {
    let outcome = load(|plan| {
        plan.rooms = 2;
        plan.audio_publishers = 3;
        plan.video_publishers = 2;
        plan.subscribers = 4;
        plan.layout = Layout::First(1);
        plan.picture.bitrate = 300_000.0;
        plan.per_subscriber = true;
        plan.threads = 2;
    })
    .unwrap();
    assert!(outcome.is_sound(), "{outcome}");
    assert_eq!((outcome.joined, outcome.failed_joins), (14, 0));
    assert_eq!(
        (outcome.corrupt, outcome.foreign, outcome.errors),
        (0, 0, 0)
    );
    for (class, sent, wanted_of) in [(&outcome.audio, 600, 1), (&outcome.video, 240, 2)] {
        assert_eq!((class.sent, class.unsent), (sent, 0));
        assert_eq!(class.expected, sent / wanted_of * 4);
        assert_eq!(class.delivered + class.lost.total(), class.expected);
        assert!(class.deliveries >= class.delivered && class.delivered > 0);
        assert_eq!(
            (class.duplicates, class.reordered, class.unwanted),
            (0, 0, 0)
        );
        assert_eq!(class.undecodable, 0);
        assert!(class.latency_ms.p50 > 0.0 && class.latency_ms.p50 <= class.latency_ms.max);
    }
    assert_eq!(outcome.subscribers.len(), 8);
    for one in &outcome.subscribers {
        assert_eq!(one.audio + one.audio_lost, 300);
        assert_eq!(one.video + one.video_lost, 60);
        assert!(one.audio_age_ms.unwrap().max > 0.0);
        assert_eq!(one.closed, None);
    }
}

#[test]
fn who_reads_nothing_loses_alone_and_comes_back() {
    let outcome = load(|plan| {
        plan.audio_publishers = 2;
        plan.video_publishers = 1;
        plan.subscribers = 3;
        plan.duration = Some(Duration::from_secs(6));
        plan.per_subscriber = true;
        plan.slow = Some(Slow {
            subscribers: 1,
            bytes_per_second: 0,
            after: Duration::from_millis(500),
            lasting: Some(Duration::from_secs(3)),
        });
    })
    .unwrap();
    assert!(outcome.is_sound(), "{outcome}");
    let [slow, others @ ..] = &outcome.subscribers[..] else {
        panic!("{outcome}");
    };
    assert!(slow.video_lost > 0, "{slow:?}");
    assert!(
        slow.audio_live_ms.is_some() && slow.video_live_ms.is_some(),
        "{slow:?}"
    );
    assert_eq!(slow.undecodable, 0);
    for one in others {
        assert_eq!((one.video_lost, one.audio_live_ms), (0, None), "{one:?}");
    }
}

#[test]
fn a_full_room_is_a_failed_join() {
    let outcome = load(|plan| {
        plan.audio_publishers = 1;
        plan.subscribers = 101;
    })
    .unwrap();
    assert_eq!((outcome.joined, outcome.failed_joins), (100, 2));
    assert!(!outcome.is_sound());
    assert!(outcome.first_failure.unwrap().contains("full"));
}

#[test]
fn nobody_there_is_said() {
    let address = Address::parse("http://127.0.0.1:1").unwrap();
    let plan = Plan {
        audio_publishers: 1,
        subscribers: 1,
        ..Plan::new(address, "load")
    };
    let error = load::run(&plan, &AtomicBool::new(false), |_| {}).unwrap_err();
    assert!(error.to_string().contains("Is the edge running"), "{error}");
}

fn pulse(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pulse"))
        .arg("load")
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn wrong_flags_get_a_sentence() {
    for (arguments, sentence) in [
        (&["ftp://x"][..], "is not an address"),
        (&[], "--audio-publishers"),
        (&["--layout", "7x7"], "3x3"),
        (
            &["--audio-publishers", "1", "--subscribers", "0"],
            "--subscribers",
        ),
        (
            &["--audio-publishers", "1", "--frame-bytes", "5"],
            "20 to 943",
        ),
        (&["--audio-publishers", "1", "--room", "a b"], "room's name"),
        (&["--per-subscriber"], "--json"),
        (&["--duration", "soon"], "90s"),
    ] {
        let output = pulse(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(sentence), "{arguments:?}: {told}");
    }
}
