//! A network in memory and in virtual time: every packet takes 20 to 27 ms, some are lost, and addresses can
//! be cut off. A seed repeats it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    future::Future,
    io::{self, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use pulse_core::quic::over::{AsyncTimer, AsyncUdpSocket, RecvMeta, Runtime, Transmit, UdpPoller};
use tokio::time::{Sleep, sleep_until};

#[derive(Default)]
struct Inbox {
    packets: VecDeque<(SocketAddr, Vec<u8>)>,
    waker: Option<Waker>,
}

struct State {
    inboxes: BTreeMap<SocketAddr, Inbox>,
    cut: BTreeSet<SocketAddr>,
    random: u64,
    trace: u64,
}

/// All sockets.
#[derive(Clone)]
pub(crate) struct Network(Arc<Mutex<State>>);

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            inboxes: BTreeMap::new(),
            cut: BTreeSet::new(),
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            trace: 0,
        })))
    }

    pub(crate) fn socket(&self, at: SocketAddr) -> Arc<dyn AsyncUdpSocket> {
        self.0.lock().unwrap().inboxes.insert(at, Inbox::default());
        Arc::new(Socket {
            at,
            network: self.clone(),
        })
    }

    /// Nothing comes from there or goes there any more.
    pub(crate) fn cut(&self, at: SocketAddr) {
        self.0.lock().unwrap().cut.insert(at);
    }

    pub(crate) fn mend(&self, at: SocketAddr) {
        self.0.lock().unwrap().cut.remove(&at);
    }

    /// Of the sizes, ways and order of all packets so far.
    pub(crate) fn trace(&self) -> u64 {
        self.0.lock().unwrap().trace
    }

    fn deliver(&self, to: SocketAddr, from: SocketAddr, packet: Vec<u8>) {
        let mut state = self.0.lock().unwrap();
        if let Some(inbox) = state.inboxes.get_mut(&to) {
            inbox.packets.push_back((from, packet));
            if let Some(waker) = inbox.waker.take() {
                waker.wake();
            }
        }
    }
}

struct Socket {
    at: SocketAddr,
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
        let mut state = self.network.0.lock().unwrap();
        state.random ^= state.random << 13;
        state.random ^= state.random >> 7;
        state.random ^= state.random << 17;
        let random = state.random;
        state.trace = state.trace.rotate_left(5)
            ^ transmit.contents.len() as u64
            ^ u64::from(from.port()) << 20
            ^ u64::from(to.port()) << 40;
        let lost = random % 100 < 3 || state.cut.contains(&from) || state.cut.contains(&to);
        drop(state);
        if !lost {
            let at = tokio::time::Instant::now() + Duration::from_millis(20 + (random >> 8) % 8);
            let (network, packet) = (self.network.clone(), transmit.contents.to_vec());
            tokio::spawn(async move {
                sleep_until(at).await;
                network.deliver(to, from, packet);
            });
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.network.0.lock().unwrap();
        let inbox = state.inboxes.get_mut(&self.at).unwrap();
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

/// Tokio's clock, which a test pauses.
#[derive(Debug)]
pub(crate) struct Virtual;

#[derive(Debug)]
struct Timer(Pin<Box<Sleep>>);

impl AsyncTimer for Timer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.0.as_mut().reset(at.into());
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Future::poll(self.0.as_mut(), cx)
    }
}

impl Runtime for Virtual {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(Timer(Box::pin(sleep_until(at.into()))))
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::spawn(future);
    }

    fn wrap_udp_socket(&self, _: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}
