//! Looks at the edge ten times a second, from a thread of its own whose waiting holds up nobody: what
//! it holds for its receivers, the memory it has, and how long it waited for its core.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Failure,
    edge::{metric, resident, waited},
};

/// How often, in all windows alike.
const LOOK: Duration = Duration::from_millis(100);

/// The gauge is of all receivers: a picture is in the queues of all for some 100 µs, on its way
/// through. The least of a few looks is what stays.
const LOOKS: usize = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(3);

/// What was looked up during one window.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// The most that waited for receivers.
    pub held_bytes: f64,
    /// Memory at the last look, and the most at any.
    pub resident_bytes: (f64, f64),
    /// How long the edge had waited for its core at the first look, and at the last.
    waited: Option<(Duration, Duration)>,
}

impl Looked {
    pub fn waited_ms(&self) -> f64 {
        self.waited
            .map_or(0.0, |(first, last)| (last - first).as_secs_f64() * 1e3)
    }
}

/// A thread at work.
pub struct Looks {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Result<Vec<Looked>, Failure>>,
}

impl Looks {
    /// Its thread's sockets are where the calling thread's are. `window` tells which of the `windows`
    /// a moment belongs to, in µs since `origin`.
    pub fn start(
        (ops, process): (SocketAddr, u32),
        origin: Instant,
        windows: usize,
        window: impl Fn(u64) -> Option<usize> + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let mut looks = vec![Looked::default(); windows];
            while !stopped.load(Ordering::Relaxed) {
                let since = Instant::now().checked_duration_since(origin);
                let window = since.and_then(|since| window(since.as_micros() as u64));
                if let Some(looked) = window.and_then(|window| looks.get_mut(window)) {
                    looked.held_bytes = looked.held_bytes.max(held_now(ops)?);
                    let resident = resident(process)?;
                    looked.resident_bytes = (resident, resident.max(looked.resident_bytes.1));
                    let waited = waited(process)?;
                    let (first, _) = looked.waited.unwrap_or((waited, waited));
                    looked.waited = Some((first, waited));
                }
                thread::sleep(LOOK);
            }
            Ok(looks)
        });
        Self { stop, thread }
    }

    /// What was seen in each window.
    pub fn finish(self) -> Result<Vec<Looked>, Failure> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .map_err(|_| "the thread that looks at /metrics failed")?
    }
}

fn held_now(ops: SocketAddr) -> Result<f64, Failure> {
    let mut least = f64::INFINITY;
    for _ in 0..LOOKS {
        least = least.min(metric(ops, "pulse_held_bytes")?);
        thread::sleep(BETWEEN_LOOKS);
    }
    Ok(least)
}
