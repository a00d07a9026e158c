//! Runs a router: one thread that reads every device, waits for whichever comes first, a packet or the
//! router's next time, and writes what arrives. Decides nothing.

use std::{
    io,
    num::NonZeroU64,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::{
    buffer::spare_capacity,
    event::{EventfdFlags, Timespec, epoll, eventfd},
};

use crate::{
    clock::Clock,
    limits::{MAX_PACKET_BYTES, POOL_BUFFERS, READ_BATCH},
    link::Packet,
    router::{HostId, Router},
    tun::Tun,
};

/// A host's number in the event queue is its id; this is none.
const WAKE: u64 = u64::MAX;

/// What the thread and the one who changes the world share.
#[derive(Debug)]
pub(crate) struct Shared {
    router: Mutex<Router>,
    clock: Clock,
    wake: OwnedFd,
    stop: AtomicBool,
    /// Packets that a device did not take, because it is being removed.
    refused: AtomicU64,
}

impl Shared {
    pub(crate) fn new(router: Router) -> io::Result<Arc<Self>> {
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        Ok(Arc::new(Self {
            router: Mutex::new(router),
            clock: Clock::start(),
            wake: eventfd(0, flags)?,
            stop: AtomicBool::new(false),
            refused: AtomicU64::new(0),
        }))
    }

    /// The router, to read.
    pub(crate) fn router(&self) -> MutexGuard<'_, Router> {
        self.router.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The router, to change now; the thread looks at its times again afterwards.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Router, Duration)) {
        let mut router = self.router();
        change(&mut router, self.clock.now());
        drop(router);
        self.wake();
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        // Fails only when it is awake 2^64 times already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

/// The loop's own state.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    devices: Vec<Tun>,
    epoll: OwnedFd,
    pool: Vec<Packet>,
}

impl Driver {
    /// Devices are in the order of their hosts' ids.
    pub(crate) fn new(shared: Arc<Shared>, devices: Vec<Tun>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let readable = epoll::EventFlags::IN;
        for (id, device) in devices.iter().enumerate() {
            epoll::add(
                &epoll,
                device,
                epoll::EventData::new_u64(id as u64),
                readable,
            )?;
        }
        let wake = epoll::EventData::new_u64(WAKE);
        epoll::add(&epoll, &shared.wake, wake, readable)?;
        Ok(Self {
            shared,
            devices,
            epoll,
            pool: Vec::new(),
        })
    }

    /// Until `Shared::stop`.
    pub(crate) fn run(mut self) {
        // Timers that are 50 µs late, the default, would be half of a LAN's round trip.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1_000));
        let mut events = Vec::with_capacity(64);
        let mut sent = Vec::new();
        let mut received = Vec::new();
        while !self.shared.stop.load(Ordering::Acquire) {
            let timeout = {
                let mut router = self.shared.router();
                let now = self.shared.clock.now();
                router.advance(now, &mut received);
                for (host, packet) in sent.drain(..) {
                    router.handle(now, host, packet);
                }
                router.advance(now, &mut received);
                router.next_timeout().map(|at| at.saturating_sub(now))
            };
            for (host, packet) in received.drain(..) {
                self.write(host, packet);
            }
            let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
            for event in &events {
                match event.data.u64() {
                    WAKE => {
                        let _ = rustix::io::read(&self.shared.wake, &mut [0; 8]);
                    }
                    id => self.read(id as usize, &mut sent),
                }
            }
        }
    }

    fn read(&mut self, id: usize, sent: &mut Vec<(HostId, Packet)>) {
        let Some(device) = self.devices.get(id) else {
            return;
        };
        for _ in 0..READ_BATCH {
            let mut packet = self.pool.pop().unwrap_or_default();
            packet.resize(MAX_PACKET_BYTES, 0);
            let Ok(length) = device.receive(&mut packet) else {
                self.pool.push(packet);
                return;
            };
            packet.truncate(length);
            sent.push((HostId(id), packet));
        }
    }

    fn write(&mut self, host: HostId, packet: Packet) {
        let sent = self
            .devices
            .get(host.0)
            .map(|device| device.send(&packet).is_ok());
        if sent != Some(true) {
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
        }
        if self.pool.len() < POOL_BUFFERS {
            self.pool.push(packet);
        }
    }
}
