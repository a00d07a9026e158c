//! A network in memory and in virtual time. Nodes are addressed as 10.0.0.NODE; each way between two of them
//! has its delay and loss, and can be cut. A node can stand still for a while: what comes from there or goes
//! there arrives together, later.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    fmt,
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use pulse_core::quic::over::{AsyncUdpSocket, RecvMeta, Transmit, UdpPoller};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::random::Random;

/// Nodes that there may be.
pub(crate) const NODES: usize = 8;

/// One way from one node to another.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Way {
    pub(crate) delay_us: u64,
    /// Beside what it takes always.
    pub(crate) more_us: u64,
    pub(crate) loss_permille: u64,
    pub(crate) cut: bool,
}

#[derive(Default)]
struct Inbox {
    /// Which socket of this address is the one in use.
    run: u64,
    packets: VecDeque<(SocketAddr, Vec<u8>)>,
    waker: Option<Waker>,
}

/// A packet on its way: when it arrives, in which order it left, where to, where from, what.
type OnWay = Reverse<(Instant, u64, SocketAddr, SocketAddr, Vec<u8>)>;

struct State {
    inboxes: BTreeMap<SocketAddr, Inbox>,
    ways: [[Way; NODES]; NODES],
    still_until: [Option<Instant>; NODES],
    on_way: BinaryHeap<OnWay>,
    random: Random,
    sent: u64,
    trace: u64,
}

/// All sockets.
#[derive(Clone)]
pub(crate) struct Network {
    state: Arc<Mutex<State>>,
    sooner: Arc<Notify>,
}

fn node(address: SocketAddr) -> usize {
    match address.ip() {
        IpAddr::V4(ip) => usize::from(ip.octets()[3]),
        IpAddr::V6(_) => unreachable!("there are no such nodes"),
    }
}

impl Network {
    /// Every way takes as long as the seed says. To be used inside a runtime.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut ways = [[Way::default(); NODES]; NODES];
        let pairs = (0..NODES).flat_map(|from| (0..from).map(move |to| (from, to)));
        for (from, to) in pairs {
            let way = Way {
                delay_us: 2_000 + random.below(70_000),
                ..Way::default()
            };
            ways[from][to] = way;
            ways[to][from] = way;
        }
        let network = Self {
            state: Arc::new(Mutex::new(State {
                inboxes: BTreeMap::new(),
                ways,
                still_until: [None; NODES],
                on_way: BinaryHeap::new(),
                random,
                sent: 0,
                trace: 0,
            })),
            sooner: Arc::default(),
        };
        tokio::spawn(network.clone().carry());
        network
    }

    /// Takes an address; who had it before is dead from now on.
    pub(crate) fn socket(&self, at: SocketAddr) -> Arc<dyn AsyncUdpSocket> {
        let mut state = self.lock();
        let inbox = state.inboxes.entry(at).or_default();
        inbox.run += 1;
        inbox.packets.clear();
        inbox.waker = None;
        Arc::new(Socket {
            at,
            run: inbox.run,
            network: self.clone(),
        })
    }

    /// Whoever has these addresses is dead: nothing comes from there any more, and nobody is told.
    pub(crate) fn kill(&self, dead: usize) {
        let mut state = self.lock();
        for (_, inbox) in state
            .inboxes
            .iter_mut()
            .filter(|(at, _)| node(**at) == dead)
        {
            inbox.run += 1;
            inbox.packets.clear();
        }
    }

    /// Changes one way.
    pub(crate) fn change(&self, from: usize, to: usize, change: impl FnOnce(&mut Way)) {
        change(&mut self.lock().ways[from][to]);
    }

    /// Nothing comes from there or arrives there before.
    pub(crate) fn stand_still(&self, node: usize, until: Instant) {
        self.lock().still_until[node] = Some(until);
    }

    /// Of the sizes, ways and order of all packets so far.
    pub(crate) fn trace(&self) -> u64 {
        self.lock().trace
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Carries packets for ever.
    async fn carry(self) {
        loop {
            let next = self.lock().on_way.peek().map(|packet| packet.0.0);
            match next {
                None => self.sooner.notified().await,
                Some(at) => tokio::select! {
                    biased;
                    () = sleep_until(at) => self.deliver(Instant::now()),
                    () = self.sooner.notified() => {}
                },
            }
        }
    }

    fn deliver(&self, now: Instant) {
        let mut state = self.lock();
        while state.on_way.peek().is_some_and(|packet| packet.0.0 <= now) {
            let Some(Reverse((_, _, to, from, packet))) = state.on_way.pop() else {
                return;
            };
            if let Some(inbox) = state.inboxes.get_mut(&to) {
                inbox.packets.push_back((from, packet));
                if let Some(waker) = inbox.waker.take() {
                    waker.wake();
                }
            }
        }
    }
}

impl State {
    /// When a packet that leaves now arrives, if it does.
    fn arrival(&mut self, from: usize, to: usize) -> Option<Instant> {
        let way = self.ways[from][to];
        let lost = self.random.chance(way.loss_permille);
        if lost || way.cut {
            return None;
        }
        let jitter = self.random.below(1 + way.delay_us / 16);
        let at = Instant::now() + Duration::from_micros(way.delay_us + way.more_us + jitter);
        let still = [from, to].map(|node| self.still_until[node]);
        Some(still.into_iter().flatten().fold(at, Instant::max))
    }
}

struct Socket {
    at: SocketAddr,
    run: u64,
    network: Network,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Socket({})", self.at)
    }
}

#[derive(Debug)]
struct Always;

impl UdpPoller for Always {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Always)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let (to, from) = (transmit.destination, self.at);
        let mut state = self.network.lock();
        if state
            .inboxes
            .get(&from)
            .is_none_or(|inbox| inbox.run != self.run)
        {
            return Ok(());
        }
        state.trace = state.trace.rotate_left(5)
            ^ transmit.contents.len() as u64
            ^ (node(from) as u64) << 20
            ^ (node(to) as u64) << 40;
        if let Some(at) = state.arrival(node(from), node(to)) {
            state.sent += 1;
            let packet = Reverse((at, state.sent, to, from, transmit.contents.to_vec()));
            let sooner = state.on_way.peek().is_none_or(|first| at < first.0.0);
            state.on_way.push(packet);
            drop(state);
            if sooner {
                self.network.sooner.notify_one();
            }
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.network.lock();
        let inbox = state.inboxes.get_mut(&self.at);
        let Some(inbox) = inbox.filter(|inbox| inbox.run == self.run) else {
            return Poll::Pending;
        };
        let mut count = 0;
        for (buffer, meta) in buffers.iter_mut().zip(metas) {
            let Some((from, packet)) = inbox.packets.pop_front() else {
                break;
            };
            buffer[..packet.len()].copy_from_slice(&packet);
            *meta = RecvMeta::default();
            meta.addr = from;
            meta.len = packet.len();
            meta.stride = packet.len();
            count += 1;
        }
        if count > 0 {
            return Poll::Ready(Ok(count));
        }
        inbox.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.at)
    }

    fn may_fragment(&self) -> bool {
        false
    }
}
