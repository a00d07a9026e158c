//! The few fields of an IPv4 packet that a router reads, and the one packet that it writes itself
//! (ICMP "fragmentation needed", RFC 1191). Never looks behind the headers.

use std::net::Ipv4Addr;

use crate::link::Packet;

/// An IPv4 header without options.
const HEADER_BYTES: usize = 20;
/// What of a refused packet its sender needs back: the header and 8 bytes, options included.
const QUOTED_BYTES: usize = 60 + 8;
const ICMP: u8 = 1;

/// Where a packet comes from and goes to; `None` if it is no IPv4 packet.
pub(crate) fn addresses(packet: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let header = packet.first_chunk::<HEADER_BYTES>()?;
    if header.first()? >> 4 != 4 {
        return None;
    }
    let field = |at: usize| header.get(at..)?.first_chunk::<4>().copied();
    Some((field(12)?.into(), field(16)?.into()))
}

/// The answer to a packet that is longer than `mtu`; `None` if there is none to give: its sender
/// allows fragments (which the lab does not make), or it is itself ICMP or no first fragment.
pub(crate) fn fragmentation_needed(packet: &[u8], router: Ipv4Addr, mtu: usize) -> Option<Packet> {
    let (source, _) = addresses(packet)?;
    let flags = u16::from_be_bytes(*packet.get(6..)?.first_chunk::<2>()?);
    let may_be_fragmented = flags & 0x4000 == 0;
    if may_be_fragmented || flags & 0x1fff != 0 || *packet.get(9)? == ICMP {
        return None;
    }
    let quoted = packet.get(..QUOTED_BYTES.min(packet.len()))?;
    let mut icmp = vec![3, 4, 0, 0, 0, 0];
    icmp.extend_from_slice(&u16::try_from(mtu).ok()?.to_be_bytes());
    icmp.extend_from_slice(quoted);
    let sum = checksum(&icmp);
    icmp.get_mut(2..4)?.copy_from_slice(&sum.to_be_bytes());

    let total = u16::try_from(HEADER_BYTES + icmp.len()).ok()?;
    let mut answer = vec![0x45, 0];
    answer.extend_from_slice(&total.to_be_bytes());
    answer.extend_from_slice(&[0, 0, 0x40, 0, 64, ICMP, 0, 0]);
    answer.extend_from_slice(&router.octets());
    answer.extend_from_slice(&source.octets());
    let sum = checksum(&answer);
    answer.get_mut(10..12)?.copy_from_slice(&sum.to_be_bytes());
    answer.extend_from_slice(&icmp);
    Some(answer)
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| {
            let high = pair.first().copied().unwrap_or(0);
            let low = pair.get(1).copied().unwrap_or(0);
            u32::from(u16::from_be_bytes([high, low]))
        })
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp(flags: u8) -> Packet {
        let mut packet = vec![0x45, 0, 5, 0xdc, 0, 0, flags, 0, 64, 17, 0, 0];
        packet.extend_from_slice(&[10, 77, 0, 1, 10, 77, 0, 2]);
        packet.resize(1_500, 7);
        packet
    }

    #[test]
    fn the_sender_of_a_long_packet_is_told_what_passes() {
        let router = Ipv4Addr::new(10, 77, 255, 254);
        let answer = fragmentation_needed(&udp(0x40), router, 1_280).unwrap();
        assert_eq!(
            addresses(&answer),
            Some((router, Ipv4Addr::new(10, 77, 0, 1)))
        );
        assert_eq!(&answer[20..22], &[3, 4]);
        assert_eq!(&answer[26..28], &1_280_u16.to_be_bytes());
        assert_eq!(&answer[28..], &udp(0x40)[..68]);
        // A sum over a correct header or message is all ones.
        assert_eq!(checksum(&answer[..20]), 0);
        assert_eq!(checksum(&answer[20..]), 0);
    }

    #[test]
    fn no_answer_where_there_is_none_to_give() {
        let router = Ipv4Addr::new(10, 77, 255, 254);
        assert_eq!(fragmentation_needed(&udp(0), router, 1_280), None);
        assert_eq!(fragmentation_needed(&[0x60; 40], router, 1_280), None);
        assert_eq!(fragmentation_needed(&[0x45; 3], router, 1_280), None);
        let answer = fragmentation_needed(&udp(0x40), router, 1_280).unwrap();
        assert_eq!(fragmentation_needed(&answer, router, 1_280), None);
    }
}
