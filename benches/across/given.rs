//! Frames that come when they are due, from a thread of their own, as from the sessions of an edge: one by one at
//! random phases, and not all of a ms together as a timer of the runtime would hand them out. Whoever sends is
//! woken as an edge's link is. The thread's own work counts for nobody.

use std::{
    collections::VecDeque,
    fs,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use pulse_proto::Frame;
use tokio::{
    sync::Notify,
    time::{Duration, Instant},
};

/// A frame, when it was due and when it was given, in µs since the origin.
pub struct Due {
    pub at_us: u64,
    pub given_us: u64,
    pub frame: Frame,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Due>,
    bytes: usize,
    /// Bytes that may wait before the sender is woken.
    patience: usize,
    ended: bool,
}

/// What waits for the sender.
#[derive(Clone, Default)]
pub struct Given {
    inner: Arc<Mutex<Inner>>,
    ready: Arc<Notify>,
    wakes: Arc<AtomicU64>,
}

impl Given {
    /// Begins to give. The frames are made already: making them is no part of the link.
    pub fn start(frames: Vec<(u64, Frame)>, origin: Instant) -> Self {
        let given = Self::default();
        let to = given.clone();
        thread::spawn(move || to.keep_time(frames, origin));
        given
    }

    /// Moves all that waits; whether nothing follows.
    pub fn take(&self, into: &mut VecDeque<Due>) -> bool {
        let mut inner = self.lock();
        inner.bytes = 0;
        into.append(&mut inner.waiting);
        inner.ended
    }

    /// From now on the sender comes by itself for what is not more than so many bytes.
    pub fn set_patience(&self, bytes: usize) {
        let mut inner = self.lock();
        let before = std::mem::replace(&mut inner.patience, bytes);
        let more = inner.bytes > bytes;
        drop(inner);
        if more && before > 0 {
            self.wake();
        }
    }

    /// Waits until there is something to take.
    pub async fn ready(&self) {
        self.ready.notified().await;
    }

    /// How often the sender was woken.
    pub fn wakes(&self) -> u64 {
        self.wakes.load(Ordering::Relaxed)
    }

    fn keep_time(&self, frames: Vec<(u64, Frame)>, origin: Instant) {
        sleep_exactly();
        for (at_us, frame) in frames {
            let at = origin + Duration::from_micros(at_us);
            let left = at.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                thread::sleep(left);
            }
            let given_us = origin.elapsed().as_micros() as u64;
            let mut inner = self.lock();
            let before = inner.bytes;
            inner.bytes += frame.len();
            inner.waiting.push_back(Due {
                at_us,
                given_us,
                frame,
            });
            let wake = before <= inner.patience && inner.bytes > inner.patience;
            drop(inner);
            if wake {
                self.wake();
            }
        }
        self.lock().ended = true;
        self.wake();
    }

    fn wake(&self) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        self.ready.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Linux wakes a thread up to 50 µs late, to wake several at once; at 20,000 frames a second two would come
/// together. Where it cannot be told otherwise they do.
fn sleep_exactly() {
    let thread = fs::read_link("/proc/thread-self").unwrap_or_default();
    if let Some(number) = thread.file_name().and_then(|number| number.to_str()) {
        let _ = fs::write(format!("/proc/{number}/timerslack_ns"), "1");
    }
}
