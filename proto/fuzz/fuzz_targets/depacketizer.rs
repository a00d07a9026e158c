//! Any datagrams, names that are learnt and forgotten, and time that passes, in any order. What comes out
//! must be frames that every peer accepts, no longer than what came in, and what waits stays bounded.

#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use pulse_proto::{
    Frame, FrameType, ParticipantId, RoomName,
    backbone::{
        Alias, AliasError, Depacketizer,
        datagram::{Header, Kind, Records},
        limits::{MAX_HOPS, MAX_UNKNOWN},
    },
    media::MediaHeader,
};

/// The next bytes of the input as an array.
fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(head)
}

fuzz_target!(|data: &[u8]| {
    let mut now = Instant::now();
    let mut depacketizer = Depacketizer::new(now);
    let rooms = ["a", "standup"].map(|name| RoomName::parse(name).expect("a room's name"));
    let mut rest = data;
    let mut arrived = Vec::new();
    let (mut given, mut malformed) = (0_usize, 0);
    let mut newest = 0;
    while let Some([what]) = take::<1>(&mut rest) {
        let before = arrived.len();
        match what % 4 {
            0 => {
                let Some(length) = take::<2>(&mut rest) else {
                    break;
                };
                let length = usize::from(u16::from_be_bytes(*length)) % 1_200;
                let (datagram, tail) = rest.split_at(length.min(rest.len()));
                rest = tail;
                given += datagram.len();
                let read = depacketizer.on_datagram(now, datagram, &mut arrived);
                malformed += u64::from(read.is_err());
                // The two readings agree about what is well-formed.
                let parsed = Header::parse(datagram).and_then(|(header, body)| {
                    assert!(header.hops <= MAX_HOPS);
                    match header.kind {
                        Kind::Media => Records::new(body)?.try_for_each(|record| record.map(drop)),
                        Kind::Feedback => Ok(()),
                    }
                });
                if let Err(error) = parsed {
                    // Only one that came before is not looked into.
                    assert!(read == Err(error) || (read == Ok(None) && arrived.len() == before));
                }
                if let Ok(Some(report)) = read {
                    // Hops and epoch mean nothing in a report.
                    let written = report.encode();
                    assert_eq!((written[0], &written[4..]), (datagram[0], &datagram[4..]));
                }
            }
            1 => {
                let Some(&[by, room, who]) = take::<3>(&mut rest) else {
                    break;
                };
                let Some(alias) = Alias::new(u32::from(by)) else {
                    continue;
                };
                let room = &rooms[usize::from(room) % 2];
                let id = ParticipantId::from_random([who % 4; 16]);
                let learnt = depacketizer.learn(now, alias, room, id, &mut arrived);
                if u32::from(by) <= newest {
                    assert_eq!(learnt, Err(AliasError::Reused(u32::from(by))));
                } else {
                    assert_eq!(learnt, Ok(()));
                    newest = u32::from(by);
                }
            }
            2 => {
                let Some(&[room, who]) = take::<2>(&mut rest) else {
                    break;
                };
                let id = ParticipantId::from_random([who % 4; 16]);
                depacketizer.forget(&rooms[usize::from(room) % 2], id);
            }
            _ => {
                let Some(&[ms]) = take::<1>(&mut rest) else {
                    break;
                };
                now += Duration::from_millis(u64::from(ms));
                depacketizer.expire(now);
                assert!(depacketizer.expires_at().is_none_or(|at| at > now));
                if depacketizer.report_at().is_some_and(|at| at <= now) {
                    assert!(depacketizer.report(now).is_some());
                }
            }
        }
        let counts = depacketizer.counts();
        assert_eq!(counts.malformed, malformed);
        assert_eq!(counts.frames, arrived.len() as u64);
        assert!(
            counts.held - counts.expired - counts.overflowed
                <= MAX_UNKNOWN as u64 + counts.frames + counts.bad_frames
        );
    }
    let mut came = 0;
    for one in &arrived {
        let frame = Frame::parse(one.frame.bytes().clone()).expect("a frame");
        assert_eq!(frame.kind(), FrameType::Media);
        assert_ne!(frame.sender(), ParticipantId::ZERO);
        assert_eq!(MediaHeader::parse(&frame), Ok(one.header));
        came += frame.payload().len();
    }
    assert!(came <= given);
});
