//! What these tests share: a world or a visible "skipped", and a TCP echo on a host.

#![allow(
    dead_code,
    reason = "each test file is a program of its own and uses its part"
)]

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread::JoinHandle,
    time::Duration,
};

use pulse_lab::{Builder, Host, LabError, World, check_permitted};

/// Longer than anything here takes; a test that waits so long has failed.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Whether a lab can be had here. Says so past the test runner, which would swallow it.
pub(crate) fn is_permitted(test: &str) -> bool {
    let said = check_permitted();
    if let Err(reason) = &said {
        let _ = writeln!(io::stderr(), "skipped: {test}: {reason}");
    }
    said.is_ok()
}

/// The world, or `None` and a word on why not.
pub(crate) fn start(test: &str, builder: Builder) -> Option<World> {
    match builder.start() {
        Err(reason @ LabError::NotPermitted(_)) => {
            let _ = writeln!(io::stderr(), "skipped: {test}: {reason}");
            None
        }
        other => Some(other.unwrap()),
    }
}

/// Runs on a host to its end.
pub(crate) fn on<T: Send + 'static>(
    host: &Host,
    function: impl FnOnce() -> T + Send + 'static,
) -> T {
    host.run(function).unwrap().join().unwrap().unwrap()
}

/// What one connection brought to a listener, which sends all of it back.
pub(crate) type Echo = JoinHandle<io::Result<io::Result<u64>>>;

/// Listens on a host and echoes one connection until its other side closes.
pub(crate) fn echo(host: &Host) -> (SocketAddr, Echo) {
    let listener = on(host, || {
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap()
    });
    let address = SocketAddr::from((host.address(), listener.local_addr().unwrap().port()));
    let echo = host.run(move || {
        let (mut stream, _) = listener.accept()?;
        io::copy(&mut stream.try_clone()?, &mut stream)
    });
    (address, echo.unwrap())
}

/// A connection from a host.
pub(crate) fn connect(host: &Host, address: SocketAddr) -> TcpStream {
    let stream = on(host, move || {
        TcpStream::connect_timeout(&address, LIMIT).unwrap()
    });
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends bytes and reads as many.
pub(crate) fn exchange(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, bytes);
}
