//! A load test: publishers that send on an open schedule, subscribers that verify every message, and
//! what became of it. One process holds both ends, so that every delay is of one clock, and says how
//! late it was itself: a generator at its limit measures nothing but itself.

mod join;
mod ledger;
mod outcome;
mod plan;
mod process;
mod publisher;
mod schedule;
mod stamp;
mod subscriber;
mod tally;
mod tell;
mod wire;

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use crate::limits::{LOAD_DRAIN, LOAD_LOOK, LOAD_QUIET, LOAD_SETTLE, REPORT_INTERVAL};

use self::{
    outcome::Materials,
    publisher::{Post, Ramp, Sent},
    subscriber::{End, Shared},
    tally::Tally,
};
pub use self::{
    outcome::{ClassOutcome, Generator, Lost, Outcome, Progress, SubscriberOutcome},
    plan::{Layout, PictureShape, Plan, Slow, VoiceShape},
    tally::Percentiles,
};

/// Why a load test could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The plan asks for what cannot be.
    #[error("{0}")]
    Plan(&'static str),
    /// The system allows fewer open sockets.
    #[error(
        "{needed} sockets are needed and the system allows {allowed}: raise it (ulimit -Hn), or use fewer participants."
    )]
    Sockets {
        /// One for each participant.
        needed: usize,
        /// What is left for them.
        allowed: u64,
    },
    /// Not one publisher, or not one subscriber, got in.
    #[error("Nobody could join: {0}")]
    Nobody(String),
    /// It was stopped before it began.
    #[error("Stopped before anything was sent.")]
    Stopped,
    /// A thread could not be started, or failed.
    #[error("A thread of the load test failed: {0}")]
    Thread(io::Error),
    /// A bound of the histograms is wrong, which a test would have found.
    #[error("The load test's histograms could not be made; this program must be built again.")]
    Histogram,
}

/// Makes a load test. It starts threads of its own and blocks this one until the end, telling what goes
/// on each second. `stop` ends it early, with an outcome of what was done.
///
/// # Errors
/// [`LoadError`], if it could not be made at all. That a server did badly is no error.
pub fn run(
    plan: &Plan,
    stop: &AtomicBool,
    mut progress: impl FnMut(&Progress),
) -> Result<Outcome, LoadError> {
    plan.check()?;
    let needed = plan.participants();
    process::allow_sockets(needed).map_err(|allowed| LoadError::Sockets { needed, allowed })?;
    let origin = Instant::now();
    let ramp = Arc::new(Ramp::new(origin, plan.joins_per_second));
    let (stop_all, all_stop) = watch::channel(false);
    // Whatever happens, the threads end.
    let _stopper = Stopper(&stop_all);

    let start_ns = Arc::new(AtomicU64::new(0));
    let enough = Arc::new(AtomicBool::new(false));
    let frames = Arc::new(AtomicU64::new(0));
    let (tell_joined, joined) = mpsc::channel();
    let (tell_done, done) = mpsc::channel();
    let post = Post {
        plan: plan.clone(),
        origin,
        ramp: Arc::clone(&ramp),
        joined: tell_joined,
        start_ns: Arc::clone(&start_ns),
        enough: Arc::clone(&enough),
        frames: Arc::clone(&frames),
        done: tell_done,
        stop: all_stop.clone(),
    };
    let sending = named("load-send", move || publisher::run(post))?;
    let Some(publishers) = wait(&joined, stop) else {
        return Err(LoadError::Stopped);
    };
    let shared = Arc::new(Shared {
        plan: plan.clone(),
        origin,
        start_ns: AtomicU64::new(0),
        ids: publishers.iter().copied().flatten().collect::<HashSet<_>>(),
        publishers,
        ramp: Arc::clone(&ramp),
        stop: all_stop,
    });
    if shared.ids.is_empty() {
        return Err(nobody(&ramp));
    }
    let mut receiving = Vec::with_capacity(plan.threads);
    for number in 0..plan.threads {
        let tally = Arc::new(Mutex::new(Tally::new()?));
        let (shared, theirs) = (Arc::clone(&shared), Arc::clone(&tally));
        let thread = named("load-receive", move || {
            subscriber::run(&shared, number, &theirs)
        })?;
        receiving.push((thread, tally));
    }
    let look = Look {
        receiving: &receiving,
        frames: &frames,
        ramp: &ramp,
        origin,
    };
    // Everybody is in, or known not to get in.
    let mut reports = Reports::default();
    let answered = || ramp.joined.load(Ordering::Relaxed) + ramp.failed.load(Ordering::Relaxed);
    while answered() < plan.participants() {
        if stop.load(Ordering::Relaxed) {
            return Err(LoadError::Stopped);
        }
        reports.tell(&look, &mut progress)?;
        thread::sleep(LOAD_LOOK);
    }
    if ramp.joined.load(Ordering::Relaxed) <= shared.ids.len() {
        return Err(nobody(&ramp));
    }

    let begin_ns = (origin.elapsed() + LOAD_SETTLE).as_nanos() as u64;
    shared.start_ns.store(begin_ns, Ordering::Release);
    start_ns.store(begin_ns, Ordering::Release);
    thread::sleep(LOAD_SETTLE);
    let (began, cpu_before) = (Instant::now(), process::cpu());
    while matches!(done.try_recv(), Err(mpsc::TryRecvError::Empty)) {
        enough.store(stop.load(Ordering::Relaxed), Ordering::Relaxed);
        reports.tell(&look, &mut progress)?;
        thread::sleep(LOAD_LOOK);
    }
    let sending_time = began.elapsed();
    let in_time = look.tally()?.messages();
    let cpu = process::cpu()
        .zip(cpu_before)
        .map(|(now, before)| now - before);

    // What is on its way may come.
    let (mut seen, mut quiet_since) = (0, Instant::now());
    let drained = Instant::now();
    while quiet_since.elapsed() < LOAD_QUIET && drained.elapsed() < LOAD_DRAIN {
        let messages = look.tally()?.messages();
        if messages != seen {
            (seen, quiet_since) = (messages, Instant::now());
        }
        thread::sleep(LOAD_LOOK);
    }
    let tally = look.tally()?;
    stop_all.send_replace(true);
    let sent: Sent = joined_thread(sending)??;
    let mut ends: Vec<End> = Vec::new();
    for (thread, _) in receiving {
        ends.extend(joined_thread(thread)?.map_err(LoadError::Thread)?);
    }
    Ok(outcome::settle(&Materials {
        plan,
        sent,
        tally,
        ends,
        joined: ramp.joined.load(Ordering::Relaxed),
        failed: ramp.failed.load(Ordering::Relaxed),
        failure: failure(&ramp),
        sending: sending_time,
        in_time,
        cpu,
    }))
}

/// Tells every thread to end when the test is over, however that came.
#[derive(Debug)]
struct Stopper<'a>(&'a watch::Sender<bool>);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

type Receiving = (JoinHandle<io::Result<Vec<End>>>, Arc<Mutex<Tally>>);

/// What can be seen while it goes on.
struct Look<'a> {
    receiving: &'a [Receiving],
    frames: &'a AtomicU64,
    ramp: &'a Ramp,
    origin: Instant,
}

impl Look<'_> {
    fn tally(&self) -> Result<Tally, LoadError> {
        let mut sum = Tally::new()?;
        for (_, tally) in self.receiving {
            if let Ok(tally) = tally.lock() {
                sum.add(&tally);
            }
        }
        Ok(sum)
    }
}

/// Each second's line.
#[derive(Debug, Default)]
struct Reports {
    told_at: Option<Instant>,
    last: Option<Tally>,
}

impl Reports {
    fn tell(
        &mut self,
        look: &Look<'_>,
        progress: &mut impl FnMut(&Progress),
    ) -> Result<(), LoadError> {
        let told_at = *self.told_at.get_or_insert_with(Instant::now);
        let seconds = told_at.elapsed();
        if seconds < REPORT_INTERVAL {
            return Ok(());
        }
        let tally = look.tally()?;
        progress(&Progress::between(
            look.origin.elapsed(),
            seconds,
            look.ramp.joined.load(Ordering::Relaxed),
            look.ramp.failed.load(Ordering::Relaxed),
            look.frames.load(Ordering::Relaxed),
            &tally,
            self.last.as_ref(),
        ));
        self.last = Some(tally);
        self.told_at = Some(Instant::now());
        Ok(())
    }
}

fn nobody(ramp: &Ramp) -> LoadError {
    LoadError::Nobody(failure(ramp).unwrap_or_default())
}

fn failure(ramp: &Ramp) -> Option<String> {
    ramp.failure.lock().ok().and_then(|failure| failure.clone())
}

fn named<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, LoadError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(LoadError::Thread)
}

fn joined_thread<T>(thread: JoinHandle<T>) -> Result<T, LoadError> {
    let failed = |_| LoadError::Thread(io::Error::other("it panicked"));
    thread.join().map_err(failed)
}

/// Waits for the only message; `None` if it was stopped, or the thread has failed.
fn wait<T>(messages: &mpsc::Receiver<T>, stop: &AtomicBool) -> Option<T> {
    loop {
        match messages.recv_timeout(LOAD_LOOK) {
            Ok(message) => return Some(message),
            Err(mpsc::RecvTimeoutError::Timeout) if !stop.load(Ordering::Relaxed) => {}
            Err(_) => return None,
        }
    }
}

/// Whole parts of a second, for rates.
fn seconds(time: Duration) -> f64 {
    time.as_secs_f64().max(1e-3)
}
