//! The sending thread of a load test: it joins every publisher, keeps the schedule, and hands each
//! codec frame to its socket when it is due. It never waits for a server: what a socket does not take
//! is held up to a bound, and beyond it counted as not sent.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use hdrhistogram::Histogram;
use pulse_proto::{
    Frame, FrameType, ParticipantId,
    control::{
        CodecConfig, Control, KeyframeRequest, Leave, Source, Subscribe, TrackConfig, encode,
    },
    limits::MAX_CHUNK_PAYLOAD,
    media::MediaHeader,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::watch,
    task::{JoinSet, unconstrained, yield_now},
    time::{Instant, sleep, sleep_until},
};

use super::{
    LoadError,
    join::{self, Joined, RawStream},
    plan::Plan,
    schedule::{Due, Kind, Random, Schedule},
    stamp,
    tally::histogram,
    wire::{self, Piece, Reader},
};
use crate::{
    error::ClientError,
    limits::{
        CLOSE_TIMEOUT, LOAD_LEAVE_AHEAD, LOAD_SERVICE_INTERVAL, MAX_UNSENT_BYTES, PING_INTERVAL,
        READ_BUFFER_BYTES,
    },
};

/// The tracks' numbers.
pub(crate) const MICROPHONE: u8 = 0;
pub(crate) const CAMERA: u8 = 1;

/// Who joins when, and how it went.
#[derive(Debug)]
pub(crate) struct Ramp {
    begin: Instant,
    per_second: f64,
    pub(crate) joined: AtomicUsize,
    pub(crate) failed: AtomicUsize,
    /// The first failure, which is the one to tell.
    pub(crate) failure: Mutex<Option<String>>,
}

impl Ramp {
    pub(crate) fn new(begin: Instant, per_second: f64) -> Self {
        Self {
            begin,
            per_second,
            joined: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            failure: Mutex::new(None),
        }
    }

    /// When the participant with this number joins.
    pub(crate) fn at(&self, number: usize) -> Instant {
        self.begin + Duration::from_secs_f64(number as f64 / self.per_second)
    }

    pub(crate) fn joined<T>(&self, outcome: &Result<T, ClientError>) {
        match outcome {
            Ok(_) => _ = self.joined.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                if let Ok(mut failure) = self.failure.lock() {
                    failure.get_or_insert_with(|| error.to_string());
                }
            }
        }
    }
}

/// What the sending thread was told, and tells.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) plan: Plan,
    pub(crate) origin: Instant,
    pub(crate) ramp: Arc<Ramp>,
    /// Everybody's id, once all have joined or failed.
    pub(crate) joined: mpsc::Sender<Vec<Option<ParticipantId>>>,
    /// When the schedule begins, in ns of the run's clock; 0 while it is not known.
    pub(crate) start_ns: Arc<AtomicU64>,
    /// The schedule ends now.
    pub(crate) enough: Arc<AtomicBool>,
    /// Codec frames sent so far.
    pub(crate) frames: Arc<AtomicU64>,
    /// The schedule is at its end.
    pub(crate) done: mpsc::Sender<()>,
    /// Everybody leaves.
    pub(crate) stop: watch::Receiver<bool>,
}

/// What was sent.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Codec frames of each stream.
    pub(crate) frames: Vec<u64>,
    pub(crate) voice: Sums,
    pub(crate) picture: Sums,
    /// µs from a frame's due time until its socket had it.
    pub(crate) late_us: Histogram<u64>,
    pub(crate) keyframe_requests: u64,
    pub(crate) errors: u64,
    /// Why publishers' connections ended before the test did.
    pub(crate) closed: Vec<String>,
}

/// Sums over all tracks of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) frames: u64,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// Codec frames whose socket was full or over.
    pub(crate) unsent: u64,
}

/// One publisher.
#[derive(Debug)]
struct Publisher {
    stream: RawStream,
    reader: Reader,
    id: ParticipantId,
    pending: Vec<u8>,
    written: usize,
    ping_at: Instant,
    random: Random,
    closed: Option<String>,
}

impl Publisher {
    fn waiting(&self) -> usize {
        self.pending.len() - self.written
    }

    fn say(&mut self, frame: &Frame) {
        let mask = self.random.next() as u32;
        wire::append_binary(&mut self.pending, frame.bytes(), mask);
    }

    /// Gives the socket as much as it takes.
    fn write(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        while self.closed.is_none() && self.waiting() > 0 {
            let rest = self.pending.get(self.written..).unwrap_or_default();
            match Pin::new(&mut self.stream).poll_write(&mut cx, rest) {
                Poll::Ready(Ok(0)) => self.closed = Some("end of stream".to_owned()),
                Poll::Ready(Ok(count)) => self.written += count,
                Poll::Ready(Err(error)) => self.closed = Some(error.to_string()),
                Poll::Pending => break,
            }
        }
        // TLS holds records back until it is told.
        if let Poll::Ready(Err(error)) = Pin::new(&mut self.stream).poll_flush(&mut cx) {
            self.closed.get_or_insert_with(|| error.to_string());
        }
        if self.waiting() == 0 {
            self.pending.clear();
            self.written = 0;
        }
    }

    /// Reads what is there: requests for keyframes, refusals, the end.
    fn read(&mut self, buffer: &mut [u8], mut each: impl FnMut(&Frame)) {
        let mut cx = Context::from_waker(Waker::noop());
        while self.closed.is_none() {
            let mut buffer = ReadBuf::new(buffer);
            match Pin::new(&mut self.stream).poll_read(&mut cx, &mut buffer) {
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    self.closed = Some("end of stream".to_owned());
                }
                Poll::Ready(Ok(())) => {
                    let mut end = None;
                    let read = self.reader.push(buffer.filled(), |piece| match piece {
                        Piece::Binary(bytes) => {
                            if let Ok(frame) = Frame::parse(bytes.to_vec().into()) {
                                each(&frame);
                            }
                        }
                        Piece::Close(code) => end = Some(code),
                        Piece::Other => {}
                    });
                    if let Some(code) = end {
                        self.closed = Some(format!("closed with code {}", code.unwrap_or(1_005)));
                    } else if let Err(error) = read {
                        self.closed = Some(error.to_string());
                    }
                }
                Poll::Ready(Err(error)) => self.closed = Some(error.to_string()),
                Poll::Pending => return,
            }
        }
    }
}

/// Runs every publisher, from its join until everybody is told to stop.
pub(crate) fn run(post: Post) -> Result<Sent, LoadError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LoadError::Thread)?;
    // It polls sockets itself and must not be cut off by the runtime's idea of fairness.
    runtime.block_on(unconstrained(publish(post)))
}

async fn publish(mut post: Post) -> Result<Sent, LoadError> {
    let mut stage = Stage {
        publishers: HashMap::new(),
        schedule: Schedule::new(&post.plan),
        buffer: vec![0; READ_BUFFER_BYTES],
        streams: post.plan.streams(),
        audio: post.plan.audio_publishers,
        publishers_per_room: post.plan.publishers(),
        sent: Sent {
            frames: vec![0; post.plan.rooms * post.plan.streams()],
            voice: Sums::default(),
            picture: Sums::default(),
            late_us: histogram()?,
            keyframe_requests: 0,
            errors: 0,
            closed: Vec::new(),
        },
    };
    let stop = post.stop.clone();
    Box::pin(stage.gather(&post)).await;
    let ids = (0..post.plan.rooms * post.plan.publishers())
        .map(|number| stage.publishers.get(&number).map(|publisher| publisher.id));
    // Whoever is gone has no use for it.
    let _ = post.joined.send(ids.collect());
    while post.start_ns.load(Ordering::Acquire) == 0 && !*stop.borrow() {
        stage.service(&post);
        sleep(LOAD_SERVICE_INTERVAL).await;
    }
    if !*stop.borrow() {
        Box::pin(stage.keep_time(&post)).await;
    }
    let _ = post.done.send(());
    while !*stop.borrow() {
        stage.service(&post);
        tokio::select! {
            () = sleep(LOAD_SERVICE_INTERVAL) => {}
            _ = post.stop.changed() => {}
        }
    }
    stage.leave().await;
    Ok(stage.sent)
}

/// Everybody who publishes, and the schedule.
#[derive(Debug)]
struct Stage {
    publishers: HashMap<usize, Publisher>,
    schedule: Schedule,
    buffer: Vec<u8>,
    streams: usize,
    audio: usize,
    publishers_per_room: usize,
    sent: Sent,
}

impl Stage {
    /// Joins all of them on the ramp, and serves those who are in already.
    async fn gather(&mut self, post: &Post) {
        let plan = &post.plan;
        let mut joining = JoinSet::new();
        for index in 0..plan.rooms * plan.publishers() {
            let (room, number) = (index % plan.rooms, index / plan.rooms);
            let (plan, ramp) = (plan.clone(), Arc::clone(&post.ramp));
            joining.spawn(async move {
                sleep_until(ramp.at(index)).await;
                let name = plan.name("publisher", number);
                let mut random = Random(plan.seed ^ (!index as u64) << 32);
                let mask = random.next() as u32;
                let joining = join::join(
                    &plan.address,
                    plan.room_name(room),
                    name,
                    &plan.socket,
                    mask,
                );
                let joined = Box::pin(joining).await;
                ramp.joined(&joined);
                (room * plan.publishers() + number, number, joined, random)
            });
        }
        while !joining.is_empty() && !*post.stop.borrow() {
            while let Some(Ok((index, number, joined, random))) = joining.try_join_next() {
                let Ok(Joined { stream, reader, id }) = joined else {
                    continue;
                };
                let mut publisher = Publisher {
                    stream,
                    reader,
                    id,
                    pending: Vec::new(),
                    written: 0,
                    ping_at: Instant::now() + PING_INTERVAL,
                    random,
                    closed: None,
                };
                publisher.say(&encode(
                    id,
                    &Subscribe {
                        audio: false,
                        video: false,
                        ..Subscribe::everything()
                    },
                ));
                if number < plan.audio_publishers {
                    publisher.say(&encode(id, &microphone()));
                }
                if number < plan.video_publishers {
                    publisher.say(&encode(id, &camera(plan)));
                }
                self.publishers.insert(index, publisher);
            }
            self.service(post);
            sleep(LOAD_SERVICE_INTERVAL).await;
        }
    }

    /// Sends everything when it is due, until the schedule's end.
    async fn keep_time(&mut self, post: &Post) {
        let start = post.origin + Duration::from_nanos(post.start_ns.load(Ordering::Acquire));
        let mut service_at = Instant::now();
        while !*post.stop.borrow() {
            if post.enough.load(Ordering::Relaxed) {
                self.schedule.end(start.elapsed());
            }
            let Some(next_ns) = self.schedule.next_ns() else {
                return;
            };
            let due_at = start + Duration::from_nanos(next_ns);
            let now = Instant::now();
            if now >= service_at {
                service_at = now + LOAD_SERVICE_INTERVAL;
                yield_now().await;
                self.service(post);
            }
            // The runtime's timers are good for a millisecond, the system's for some µs; nothing else
            // runs on this thread.
            let wait = due_at
                .min(service_at)
                .saturating_duration_since(Instant::now());
            if wait > LOAD_LEAVE_AHEAD {
                std::thread::sleep(wait);
            }
            let now_ns = Instant::now().saturating_duration_since(start).as_nanos() as u64;
            while let Some(due) = self.schedule.take(now_ns) {
                self.send(post, start, &due);
            }
        }
    }

    fn send(&mut self, post: &Post, start: Instant, due: &Due) {
        let sums = match due.kind {
            Kind::Voice => &mut self.sent.voice,
            Kind::Picture => &mut self.sent.picture,
        };
        let publisher = self.publishers.get_mut(&due.publisher);
        // The publisher never joined: its frames are nobody's loss.
        let (Some(publisher), Some(frames)) = (publisher, self.sent.frames.get_mut(due.stream))
        else {
            return;
        };
        if publisher.closed.is_some() || publisher.waiting() + due.bytes > MAX_UNSENT_BYTES {
            sums.unsent += 1;
            self.schedule.want_keyframe(due.stream);
            return;
        }
        let at = start + Duration::from_nanos(due.at_ns);
        let due_ns = at.saturating_duration_since(post.origin).as_nanos() as u64;
        let count = due.bytes.div_ceil(MAX_CHUNK_PAYLOAD);
        for chunk in 0..count {
            let header = MediaHeader {
                track: match due.kind {
                    Kind::Voice => MICROPHONE,
                    Kind::Picture => CAMERA,
                },
                config: 0,
                discardable: due.discardable,
                last: chunk + 1 == count,
                spatial: 0,
                temporal: due.temporal,
                reference: due.reference,
                level: due.level,
                chunk: chunk as u16,
                sequence: *frames as u32,
                captured_us: due_ns / 1_000,
            };
            let payload = (due.bytes - chunk * MAX_CHUNK_PAYLOAD).min(MAX_CHUNK_PAYLOAD);
            let message = stamp::write(publisher.id, &header, due.stream as u32, due_ns, payload);
            sums.bytes += message.len() as u64;
            let mask = publisher.random.next() as u32;
            wire::append_binary(&mut publisher.pending, &message, mask);
        }
        publisher.write();
        *frames += 1;
        sums.frames += 1;
        sums.messages += count as u64;
        post.frames.fetch_add(1, Ordering::Relaxed);
        let late = Instant::now().saturating_duration_since(at);
        self.sent.late_us.saturating_record(late.as_micros() as u64);
    }

    /// Reads, pings, and writes on where a socket did not take everything.
    fn service(&mut self, post: &Post) {
        let now = Instant::now();
        for (index, publisher) in &mut self.publishers {
            if publisher.closed.is_some() {
                continue;
            }
            let (sent, schedule) = (&mut self.sent, &mut self.schedule);
            let (room, number) = (
                index / self.publishers_per_room,
                index % self.publishers_per_room,
            );
            let camera = room * self.streams + self.audio + number;
            publisher.read(&mut self.buffer, |frame| match frame.kind() {
                FrameType::KeyframeRequest => {
                    sent.keyframe_requests += 1;
                    if KeyframeRequest::parse(frame.payload()).is_ok() {
                        schedule.want_keyframe(camera);
                    }
                }
                FrameType::Error => sent.errors += 1,
                _ => {}
            });
            if now >= publisher.ping_at {
                publisher.ping_at = now + PING_INTERVAL;
                publisher.say(&join::ping(publisher.id, post.origin.elapsed()));
            }
            publisher.write();
            sent.closed.extend(publisher.closed.clone());
        }
    }

    async fn leave(&mut self) {
        for publisher in self.publishers.values_mut() {
            publisher.say(&encode(publisher.id, &Leave {}));
            wire::append_close(
                &mut publisher.pending,
                1_000,
                publisher.random.next() as u32,
            );
            publisher.write();
        }
        // The other side reads it and closes; a socket with something unread would be cut instead.
        let until = Instant::now() + CLOSE_TIMEOUT;
        while Instant::now() < until && self.publishers.values().any(|one| one.closed.is_none()) {
            for publisher in self.publishers.values_mut() {
                publisher.read(&mut self.buffer, |_| {});
                publisher.write();
            }
            sleep(LOAD_SERVICE_INTERVAL).await;
        }
    }
}

fn microphone() -> TrackConfig {
    TrackConfig {
        track: MICROPHONE,
        source: Source::Microphone,
        version: 0,
        muted: false,
        interrupted: None,
        config: CodecConfig {
            codec: "opus".to_owned(),
            sample_rate: Some(48_000),
            number_of_channels: Some(1),
            coded_width: None,
            coded_height: None,
            framerate: None,
            bitrate: None,
            scalability_mode: None,
            description: None,
            color_space: None,
        },
    }
}

fn camera(plan: &Plan) -> TrackConfig {
    let picture = &plan.picture;
    TrackConfig {
        track: CAMERA,
        source: Source::Camera,
        config: CodecConfig {
            codec: picture.codec.clone(),
            sample_rate: None,
            number_of_channels: None,
            coded_width: Some(picture.width),
            coded_height: Some(picture.height),
            framerate: Some(picture.fps),
            bitrate: Some(picture.bitrate as u64),
            scalability_mode: Some("L1T3".to_owned()),
            ..microphone().config
        },
        ..microphone()
    }
}
