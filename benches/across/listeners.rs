//! Those who listen: each frame that comes is timed against the moment it was due.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use hdrhistogram::Histogram;
use pulse_client::{Client, Event, JoinOptions};
use tokio::time::Instant;

use crate::call::{Failure, ROOM, receiver::histogram};

/// Who listens, until when, and to what.
#[derive(Clone, Debug)]
pub struct Listeners {
    pub url: String,
    pub count: usize,
    pub origin: Instant,
    pub end: Instant,
    /// The frames that count, in µs since the origin.
    pub window_us: Range<u64>,
    /// Counts those who are in.
    pub joined: Arc<AtomicUsize>,
}

impl Listeners {
    /// Ages of the window's frames at all of them, in µs since they were due.
    pub async fn listen(self) -> Result<Histogram<u64>, Failure> {
        let ages_us = Arc::new(Mutex::new(histogram()));
        let mut tasks = Vec::new();
        for number in 0..self.count {
            let options = JoinOptions::new(ROOM, format!("Listener {number}"));
            let client = Client::connect(&self.url, &options).await?;
            self.joined.fetch_add(1, Ordering::Relaxed);
            let task = one(client, self.clone(), ages_us.clone());
            tasks.push(tokio::spawn(task));
        }
        for task in tasks {
            task.await??;
        }
        let ages_us = ages_us.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(ages_us.clone())
    }
}

async fn one(
    mut client: Client,
    told: Listeners,
    ages_us: Arc<Mutex<Histogram<u64>>>,
) -> Result<(), Failure> {
    let end = tokio::time::sleep_until(told.end);
    tokio::pin!(end);
    loop {
        tokio::select! {
            event = client.next() => match event {
                Event::Media { header, .. } if told.window_us.contains(&header.captured_us) => {
                    let now_us = told.origin.elapsed().as_micros() as u64;
                    let mut ages_us = ages_us.lock().unwrap_or_else(PoisonError::into_inner);
                    ages_us.saturating_record(now_us.saturating_sub(header.captured_us));
                }
                Event::Closed(closed) => return Err(format!("a listener's end: {closed}").into()),
                _ => {}
            },
            () = &mut end => break,
        }
    }
    client.leave().await;
    Ok(())
}
