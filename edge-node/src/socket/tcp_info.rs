//! What the kernel knows of one TCP connection: `getsockopt(TCP_INFO)`, the one call of this crate that no
//! library wraps, and the reading of its bytes. It changes nothing and decides nothing.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd},
    time::Duration,
};

use crate::pace::{Reading, Segments};

/// The structure up to `tcpi_bytes_retrans`, which Linux has had since 4.19.
const LENGTH: usize = 216;

/// Offsets of what is read (linux/tcp.h; fields are only ever added at its end).
const UNACKED: usize = 24;
const SACKED: usize = 28;
const LOST: usize = 32;
const RETRANS: usize = 36;
const RTT_US: usize = 68;
const SND_CWND: usize = 80;
const TOTAL_RETRANS: usize = 100;
const BYTES_ACKED: usize = 120;
const NOTSENT_BYTES: usize = 144;
const MIN_RTT_US: usize = 148;
const BYTES_SENT: usize = 200;
const BYTES_RETRANS: usize = 208;

/// Asks the kernel.
///
/// # Errors
/// The socket is no TCP socket, or the kernel is older than 4.19.
#[expect(unsafe_code, reason = "no library wraps TCP_INFO; the proof is below")]
pub(super) fn read(socket: BorrowedFd<'_>) -> io::Result<Reading> {
    let mut bytes = [0_u8; LENGTH];
    let mut length = LENGTH as libc::socklen_t;
    // SAFETY: the descriptor is borrowed, so it is open during the call. `bytes` is writable memory of
    // `length` bytes, of which every value is a valid u8; the kernel writes at most `length` bytes there
    // and how many into `length`. Both outlive the call, and nothing else refers to them.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            bytes.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    if (length as usize) < LENGTH {
        return Err(io::ErrorKind::Unsupported.into());
    }
    parse(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn parse(bytes: &[u8; LENGTH]) -> Option<Reading> {
    let u32_at = |at: usize| Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
    let u64_at = |at: usize| Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
    let acked = u64_at(BYTES_ACKED)?;
    let sent = u64_at(BYTES_SENT)?.saturating_sub(u64_at(BYTES_RETRANS)?);
    // All ones until the first measurement.
    let min_rtt_us = Some(u32_at(MIN_RTT_US)?).filter(|us| *us != u32::MAX);
    let rtt_us = u32_at(RTT_US)?;
    let (sacked, lost, repeating) = (u32_at(SACKED)?, u32_at(LOST)?, u32_at(RETRANS)?);
    let unsent = u32_at(NOTSENT_BYTES)?;
    let gone = sacked.saturating_add(lost);
    let in_flight = u32_at(UNACKED)?.saturating_sub(gone);
    Some(Reading {
        acked,
        outstanding: sent.saturating_sub(acked) + u64::from(unsent),
        rtt: Duration::from_micros(u64::from(rtt_us)),
        min_rtt: Duration::from_micros(u64::from(min_rtt_us.unwrap_or(rtt_us))),
        torn: sacked | lost | repeating != 0,
        segments: Segments {
            window: u32_at(SND_CWND)?,
            in_flight: in_flight.saturating_add(repeating),
            repeated: u32_at(TOTAL_RETRANS)?,
            unsent,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
        os::fd::AsFd as _,
    };

    use super::*;

    #[test]
    fn what_the_kernel_holds_is_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut near, _) = listener.accept().unwrap();
        let before = read(near.as_fd()).unwrap();
        assert_eq!(before.outstanding, 0);
        near.write_all(&[7; 5_000]).unwrap();
        far.read_exact(&mut [0; 5_000]).unwrap();
        // What was read has been acknowledged, at the latest when something goes the other way.
        far.write_all(&[1]).unwrap();
        near.read_exact(&mut [0]).unwrap();
        let after = read(near.as_fd()).unwrap();
        assert_eq!(after.acked - before.acked, 5_000);
        assert_eq!(after.outstanding, 0);
        assert!(after.min_rtt > Duration::ZERO && after.rtt < Duration::from_secs(5));

        // Nobody reads: it stays here, sent or not.
        near.set_nonblocking(true).unwrap();
        let mut written = 0;
        while let Ok(more) = near.write(&[7; 65_536]) {
            written += more as u64;
        }
        let stuck = read(near.as_fd()).unwrap();
        assert_eq!(stuck.outstanding + (stuck.acked - after.acked), written);
        assert!(stuck.outstanding > 0);
    }

    #[test]
    fn what_is_no_tcp_socket_has_none() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(read(socket.as_fd()).is_err());
    }
}
