use proptest::prelude::*;

use super::*;
use crate::backbone::{
    alias::Aliases,
    datagram::Label,
    limits::MAX_DATAGRAM,
    packetizer::{Datagram, Outgoing, Packetizer},
    testing::{media, ms, participant, start},
};

fn room() -> RoomName {
    RoomName::parse("room").unwrap()
}

/// Both ends of one direction.
struct Link {
    now: Instant,
    aliases: Aliases,
    packetizer: Packetizer,
    depacketizer: Depacketizer,
    arrived: Vec<Arrived>,
}

impl Link {
    fn new() -> Self {
        let now = start();
        Self {
            now,
            aliases: Aliases::default(),
            packetizer: Packetizer::new(MAX_DATAGRAM, 77),
            depacketizer: Depacketizer::new(now),
            arrived: Vec::new(),
        }
    }

    /// Packs a frame alone, under the name that holds now.
    fn pack(&mut self, frame: &Frame) -> Bytes {
        let room = room();
        let label = self.aliases.label(&room, frame.sender());
        let outgoing = Outgoing {
            label,
            frame,
            age: Age::from_units(3),
            since: self.now,
            hops: 2,
            epoch: 5,
        };
        let mut out: Vec<Datagram> = Vec::new();
        self.now += ms(10);
        self.packetizer.push(self.now, outgoing, &mut out).unwrap();
        self.packetizer.flush(self.now, &mut out);
        assert_eq!(out.len(), 1);
        out.swap_remove(0).bytes
    }

    fn take(&mut self, datagram: &[u8]) -> Result<Option<Feedback>, DatagramError> {
        self.depacketizer
            .on_datagram(self.now, datagram, &mut self.arrived)
    }

    fn learn(&mut self, alias: Alias, who: ParticipantId) -> Result<(), AliasError> {
        self.depacketizer
            .learn(self.now, alias, &room(), who, &mut self.arrived)
    }

    /// A name that the sender believes is known.
    fn named(&mut self, who: ParticipantId) -> Alias {
        let alias = self.aliases.open(&room(), who).unwrap().alias;
        self.aliases.acked(alias);
        alias
    }
}

#[test]
fn a_frame_comes_out_as_it_went_in_under_either_name() {
    let mut link = Link::new();
    let frame = media(participant(1), 9, 120);
    let long = link.pack(&frame);
    link.take(&long).unwrap();
    let alias = link.named(participant(1));
    link.learn(alias, participant(1)).unwrap();
    let short = link.pack(&frame);
    assert_eq!(long.len() - short.len(), 36 + 1 + 4);
    link.take(&short).unwrap();
    let expected = Arrived {
        room: room(),
        header: MediaHeader::parse(&frame).unwrap(),
        frame,
        age: Age::from_units(3),
        hops: 2,
        epoch: 5,
    };
    assert_eq!(link.arrived, [expected.clone(), expected]);
}

#[test]
fn media_before_its_name_is_kept_for_100_ms() {
    let mut link = Link::new();
    let alias = link.named(participant(1));
    for sequence in 0..3 {
        let datagram = link.pack(&media(participant(1), sequence, 100));
        link.take(&datagram).unwrap();
    }
    assert!(link.arrived.is_empty());
    assert_eq!(link.depacketizer.counts().held, 3);
    // They came at 10, 20 and 30 ms; the first one's time is over.
    assert_eq!(
        link.depacketizer.expires_at(),
        Some(link.now - ms(20) + UNKNOWN_HOLD)
    );
    link.now += ms(80);
    link.learn(alias, participant(1)).unwrap();
    let sequences: Vec<(u32, Age)> = link
        .arrived
        .iter()
        .map(|arrived| (arrived.header.sequence, arrived.age))
        .collect();
    let age = |kept| Age::from_units(3).plus(ms(kept));
    assert_eq!(sequences, [(1, age(90)), (2, age(80))]);
    let counts = link.depacketizer.counts();
    assert_eq!((counts.expired, counts.frames), (1, 2));
    assert_eq!(link.depacketizer.expires_at(), None);
    assert_eq!(link.depacketizer.held_bytes, 0);
}

#[test]
fn what_waits_for_names_is_bounded() {
    let mut link = Link::new();
    link.named(participant(1));
    // Packed one after the other, and all here at once.
    let mut pack = |codec_bytes| {
        let frame = media(participant(1), 0, codec_bytes);
        [(); MAX_UNKNOWN + 1].map(|()| link.pack(&frame))
    };
    let (small, large) = (pack(1), pack(943));
    for datagram in small {
        link.take(&datagram).unwrap();
    }
    assert_eq!(link.depacketizer.held.len(), MAX_UNKNOWN);
    assert_eq!(link.depacketizer.counts().overflowed, 1);
    for datagram in large {
        link.take(&datagram).unwrap();
        assert!(link.depacketizer.held_bytes <= MAX_UNKNOWN_BYTES);
    }
    link.depacketizer.expire(link.now + UNKNOWN_HOLD);
    assert!(link.depacketizer.held.is_empty());
    assert_eq!(link.depacketizer.held_bytes, 0);
}

#[test]
fn media_of_somebody_who_left_is_not_kept() {
    let mut link = Link::new();
    let alias = link.named(participant(1));
    link.learn(alias, participant(1)).unwrap();
    let datagram = link.pack(&media(participant(1), 0, 100));
    link.depacketizer.forget(&room(), participant(1));
    link.take(&datagram).unwrap();
    assert!(link.arrived.is_empty());
    let counts = link.depacketizer.counts();
    assert_eq!((counts.gone, counts.held), (1, 0));
    let again = link.learn(alias, participant(2));
    assert_eq!(again, Err(AliasError::Reused(alias.get())));
}

#[test]
fn a_record_without_a_frame_harms_no_other() {
    let mut link = Link::new();
    let good = media(participant(1), 4, 30);
    let broken = Frame::new(participant(1), FrameType::Media, &[0xff; 30]);
    let room = room();
    let mut out = Vec::new();
    for frame in [&good, &broken, &good] {
        let outgoing = Outgoing {
            label: Label::Long(&room),
            frame,
            age: Age::default(),
            since: link.now,
            hops: 0,
            epoch: 0,
        };
        link.packetizer.push(link.now, outgoing, &mut out).unwrap();
    }
    link.packetizer.flush(link.now, &mut out);
    let datagram = out.pop().unwrap().bytes;
    link.take(&datagram).unwrap();
    assert_eq!(link.arrived.len(), 2);
    assert_eq!(link.depacketizer.counts().bad_frames, 1);
    // Cut off in its last record: the first one is there, and the datagram is counted.
    let cut = link.pack(&good);
    let mut cut = cut.to_vec();
    cut.push(0);
    assert_eq!(link.take(&cut), Err(DatagramError::Truncated));
    assert_eq!(link.arrived.len(), 3);
    let counts = link.depacketizer.counts();
    assert_eq!((counts.malformed, counts.frames), (1, 3));
}

#[test]
fn a_datagram_counts_once_and_is_reported() {
    let mut link = Link::new();
    let frame = media(participant(1), 0, 100);
    let [first, second, third] = [0; 3].map(|_| link.pack(&frame));
    for datagram in [&first, &third, &second, &second] {
        link.take(datagram).unwrap();
    }
    assert_eq!(link.arrived.len(), 3);
    let counts = link.depacketizer.counts().datagrams;
    assert_eq!((counts.arrived, counts.lost), (3, 0));
    assert_eq!((counts.reordered, counts.duplicates), (1, 1));
    assert_eq!(link.depacketizer.report_at(), Some(link.now));
    let report = link.depacketizer.report(link.now).unwrap();
    let report = link.take(&report).unwrap().unwrap();
    assert_eq!((report.highest, report.datagrams), (79, 3));
    assert_eq!(report.bytes as usize, 3 * first.len());
    // A report is not media: it is not reported itself.
    assert_eq!(link.depacketizer.report_at(), None);
}

proptest! {
    #[test]
    fn any_bytes_are_survived_and_give_no_more_than_they_hold(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
    ) {
        let mut link = Link::new();
        for (mut datagram, sequence) in datagrams.into_iter().zip(0_u8..) {
            let head = [0x11, 0, 0, 0, 0, 0, 0, sequence];
            for (byte, given) in datagram.iter_mut().zip(head) {
                *byte = given;
            }
            link.arrived.clear();
            let _ = link.take(&datagram);
            let rebuilt: usize = link.arrived.iter().map(|arrived| arrived.frame.payload().len()).sum();
            prop_assert!(rebuilt <= datagram.len());
            prop_assert!(link.depacketizer.held.len() <= MAX_UNKNOWN);
        }
    }
}
