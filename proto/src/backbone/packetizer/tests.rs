use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    backbone::{
        datagram::{Alias, Name, Records},
        testing::{media, ms, participant, start},
    },
    id::RoomName,
};

fn alias(number: u32) -> Label<'static> {
    Label::Alias(Alias::new(number).unwrap())
}

/// A packetizer, what left it and when.
struct Sender {
    packetizer: Packetizer,
    out: Vec<Datagram>,
}

impl Sender {
    fn new() -> Self {
        Self {
            packetizer: Packetizer::new(MAX_DATAGRAM, u32::MAX),
            out: Vec::new(),
        }
    }

    fn push(&mut self, now: Instant, hops: u8, epoch: u16, codec_bytes: usize) {
        let frame = media(participant(1), 0, codec_bytes);
        let outgoing = Outgoing {
            label: alias(1),
            frame: &frame,
            age: Age::default(),
            since: now,
            hops,
            epoch,
        };
        self.packetizer.push(now, outgoing, &mut self.out).unwrap();
    }

    fn flush(&mut self, now: Instant) -> usize {
        self.packetizer.flush(now, &mut self.out);
        self.out.drain(..).count()
    }
}

#[test]
fn a_frame_after_silence_leaves_at_once_and_takes_its_contemporaries_along() {
    let (mut sender, now) = (Sender::new(), start());
    sender.push(now, 0, 0, 120);
    sender.push(now, 0, 0, 120);
    assert_eq!(sender.packetizer.due_at(), Some(now));
    assert_eq!(sender.flush(now), 1);
    assert_eq!(sender.packetizer.counts().frames, 2);
    assert_eq!(sender.packetizer.due_at(), None);
    let later = now + IDLE;
    sender.push(later, 0, 0, 120);
    assert_eq!(sender.packetizer.due_at(), Some(later));
}

#[test]
fn what_follows_soon_is_held_for_two_ms() {
    let (mut sender, now) = (Sender::new(), start());
    sender.push(now, 0, 0, 120);
    assert_eq!(sender.flush(now), 1);
    sender.push(now + ms(1), 0, 0, 120);
    let due_at = now + ms(1) + MAX_HOLD;
    assert_eq!(sender.packetizer.due_at(), Some(due_at));
    assert_eq!(sender.flush(now + MAX_HOLD), 0);
    sender.push(now + MAX_HOLD, 0, 0, 120);
    assert_eq!(sender.flush(due_at), 1);
    assert_eq!(sender.packetizer.counts().datagrams, 2);
}

#[test]
fn a_full_datagram_waits_for_nothing() {
    let (mut sender, now) = (Sender::new(), start());
    sender.push(now, 0, 0, 120);
    sender.flush(now);
    // Each takes 7 + 20 + 130; the seventh leaves less room than a voice needs.
    for _ in 0..7 {
        assert!(sender.out.is_empty());
        sender.push(now, 0, 0, 130);
    }
    let [full] = &sender.out[..] else {
        panic!("{} datagrams", sender.out.len())
    };
    assert_eq!(full.bytes.len(), 8 + 7 * 157);
    // A whole chunk does not fit behind a voice: the voice goes first.
    sender.push(now, 0, 0, 200);
    sender.push(now, 0, 0, 943);
    assert_eq!(sender.out.len(), 2);
}

#[test]
fn what_left_last_leaves_again_under_a_number_of_its_own() {
    let (mut sender, now) = (Sender::new(), start());
    assert_eq!(sender.packetizer.again(), None);
    sender.push(now, 1, 7, 120);
    sender.packetizer.flush(now, &mut sender.out);
    let copy = sender.packetizer.again().unwrap();
    let (of, first) = Header::parse(&sender.out[0].bytes).unwrap();
    let (header, body) = Header::parse(&copy.bytes).unwrap();
    assert_eq!((of.sequence, header.sequence), (u32::MAX, 0));
    assert_eq!(copy.sequence, header.sequence);
    assert_eq!(
        Header {
            sequence: of.sequence,
            ..header
        },
        of
    );
    assert_eq!(body, first);
    // It keeps nobody waiting.
    sender.push(now + IDLE, 1, 7, 120);
    assert_eq!(sender.packetizer.due_at(), Some(now + IDLE));
}

#[test]
fn who_is_patient_comes_when_something_is_due() {
    let (mut sender, now) = (Sender::new(), start());
    assert_eq!(sender.packetizer.patience(now), 0);
    sender.push(now, 0, 0, 120);
    sender.flush(now);
    assert_eq!(sender.packetizer.patience(now), GATHER_BYTES);
    assert_eq!(sender.packetizer.looks_at(now), Some(now + GATHER));
    let later = now + GATHER;
    assert_eq!(sender.packetizer.patience(later), 0);
    assert_eq!(sender.packetizer.looks_at(later), None);
    sender.push(later, 0, 0, 120);
    let room = MAX_DATAGRAM - 8 - 147 - FULL_ENOUGH;
    assert_eq!(sender.packetizer.patience(later), room);
    assert_eq!(sender.packetizer.looks_at(later), Some(later + MAX_HOLD));
    let unheld = Packetizer::new(MAX_DATAGRAM, 0).unheld();
    assert_eq!((unheld.patience(now), unheld.looks_at(now)), (0, None));
}

#[test]
fn hops_and_epochs_do_not_mix_and_are_bounded() {
    let (mut sender, now) = (Sender::new(), start());
    for (hops, epoch) in [(0, 1), (1, 1), (0, 1), (1, 1), (2, 1), (0, 2)] {
        sender.push(now, hops, epoch, 100);
    }
    assert!(sender.out.is_empty());
    // A fifth pair makes one of the others leave.
    sender.push(now, 3, 3, 100);
    assert_eq!(sender.out.len(), 1);
    sender.packetizer.flush(now, &mut sender.out);
    assert_eq!(sender.out.len(), 4);
    // It came after something had left, and is held.
    sender.packetizer.flush(now + MAX_HOLD, &mut sender.out);
    let mut seen: Vec<(u8, u16, usize)> = sender
        .out
        .iter()
        .map(|datagram| {
            let (header, body) = Header::parse(&datagram.bytes).unwrap();
            assert_eq!(header.sequence, datagram.sequence);
            (
                header.hops,
                header.epoch,
                Records::new(body).unwrap().count(),
            )
        })
        .collect();
    let sequences: Vec<u32> = sender
        .out
        .iter()
        .map(|datagram| datagram.sequence)
        .collect();
    assert_eq!(sequences, [u32::MAX, 0, 1, 2, 3]);
    seen.sort_unstable();
    assert_eq!(
        seen,
        [(0, 1, 2), (0, 2, 1), (1, 1, 2), (2, 1, 1), (3, 3, 1)]
    );
}

#[test]
fn what_cannot_travel_is_not_taken() {
    let (mut sender, now) = (Sender::new(), start());
    let room = RoomName::parse(&"r".repeat(64)).unwrap();
    let mut push = |max_datagram, frame: &Frame, hops| {
        let outgoing = Outgoing {
            label: Label::Long(&room),
            frame,
            age: Age::default(),
            since: now,
            hops,
            epoch: 0,
        };
        Packetizer::new(max_datagram, 0).push(now, outgoing, &mut sender.out)
    };
    let ping = Frame::new(participant(1), FrameType::Ping, b"{}");
    assert_eq!(push(1_162, &ping, 0), Err(PushError::NotMedia));
    let empty = Frame::new(participant(1), FrameType::Media, b"");
    assert_eq!(push(1_162, &empty, 0), Err(PushError::Size(37)));
    let long = Frame::new(participant(1), FrameType::Media, &[0; 964]);
    assert_eq!(push(1_162, &long, 0), Err(PushError::Size(1_001)));
    let whole = media(participant(1), 0, 943);
    assert_eq!(push(1_162, &whole, 5), Err(PushError::Hops(5)));
    assert_eq!(push(1_078, &whole, 0), Err(PushError::Size(1_000)));
    assert_eq!(push(1_079, &whole, 4), Ok(()));
}

proptest! {
    /// Whatever comes when: every frame leaves once, in order within its hops and epoch, no datagram is too
    /// long, and nothing is held for more than 2 ms.
    #[test]
    fn nothing_is_lost_or_held_too_long(
        first_sequence: u32,
        max_datagram in 1_079..1_400_usize,
        frames in prop::collection::vec((0..3_000_u64, 0..3_u8, 0..2_u16, 1..=943_usize, any::<bool>()), 1..120),
    ) {
        let mut packetizer = Packetizer::new(max_datagram, first_sequence);
        let room = RoomName::parse("room").unwrap();
        let begin = start();
        let (mut now, mut out, mut left) = (begin, Vec::new(), Vec::new());
        let mut pushed = Vec::new();
        let frames = frames.into_iter().zip(0_u32..);
        for ((gap_us, hops, epoch, size, long), sequence) in frames {
            let next = now + Duration::from_micros(gap_us);
            while let Some(due) = packetizer.due_at().filter(|due| *due <= next) {
                packetizer.flush(due, &mut out);
                left.extend(out.drain(..).map(|datagram| (due, datagram)));
            }
            now = next;
            let frame = media(participant(1), sequence, size);
            let label = if long { Label::Long(&room) } else { alias(9) };
            let outgoing = Outgoing { label, frame: &frame, age: Age::from_units(hops), since: now, hops, epoch };
            packetizer.push(now, outgoing, &mut out).unwrap();
            left.extend(out.drain(..).map(|datagram| (now, datagram)));
            pushed.push((now, hops, epoch, frame, long));
        }
        while let Some(due) = packetizer.due_at() {
            packetizer.flush(due, &mut out);
            left.extend(out.drain(..).map(|datagram| (due, datagram)));
        }
        let mut expected_sequence = first_sequence;
        for (at, datagram) in left {
            prop_assert!(datagram.bytes.len() <= max_datagram.min(MAX_DATAGRAM));
            prop_assert_eq!(datagram.sequence, expected_sequence);
            expected_sequence = expected_sequence.wrapping_add(1);
            let (header, body) = Header::parse(&datagram.bytes).unwrap();
            for record in Records::new(body).unwrap() {
                let record = record.unwrap();
                let position = pushed.iter().position(|(_, hops, epoch, ..)| {
                    (*hops, *epoch) == (header.hops, header.epoch)
                });
                let (came, _, _, frame, long) = pushed.remove(position.unwrap());
                prop_assert_eq!(record.payload, frame.payload());
                prop_assert_eq!(matches!(record.name, Name::Long { .. }), long);
                prop_assert_eq!(record.age.units(), header.hops);
                prop_assert!(at.duration_since(came) <= MAX_HOLD);
            }
        }
        prop_assert!(pushed.is_empty());
    }
}
