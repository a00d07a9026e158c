//! The bytes of a datagram between edges: its header and its media records. Builds and reads them;
//! knows nothing of time, and never what a name stands for.

use std::{num::NonZeroU32, time::Duration};

use bytes::{BufMut, BytesMut};

use super::limits::{
    AGE_UNIT, DATAGRAM_HEADER, MAX_DATAGRAM, MAX_HOPS, MAX_RECORD_PAYLOAD, RECORD_HEADER,
};
use crate::id::{ID_LEN, ParticipantId, RoomName};

/// The version of this framing.
pub const DATAGRAM_VERSION: u8 = 1;

const MEDIA: u8 = 1;
const FEEDBACK: u8 = 2;

/// The alias that says: the names follow in full.
const LONG_FORM: u32 = 0;

/// A datagram from another edge cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatagramError {
    /// Not even a header.
    #[error("a datagram of {0} bytes is shorter than its header")]
    Short(usize),
    /// More than any may have.
    #[error("a datagram of {0} bytes is longer than any may be")]
    TooLong(usize),
    /// A framing of another time.
    #[error("version {0} of the datagrams is not spoken here: the hello must settle on one")]
    Version(u8),
    /// A kind that this version does not have.
    #[error("there is no kind {0} of datagrams")]
    Kind(u8),
    /// It went round in a circle, or somebody counts wrongly.
    #[error("a datagram was passed on {0} times, more often than any tree is deep")]
    Hops(u8),
    /// A media datagram without records.
    #[error("a media datagram holds nothing")]
    Empty,
    /// A record says that it is longer than what is left.
    #[error("a record ends behind its datagram")]
    Truncated,
    /// A record without payload, or with more than a media frame may have.
    #[error("a record carries {0} bytes, which no media frame does")]
    Payload(usize),
    /// The long form of a record is cut off.
    #[error("a record in its long form is shorter than the names it must hold")]
    LongForm,
    /// The long form names a participant or a room that nobody can be called.
    #[error("a record in its long form holds a participant or room that cannot be called so")]
    Name,
    /// A report is not as long as reports are.
    #[error("a report of {0} bytes has the wrong length")]
    Feedback(usize),
}

/// What a datagram carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Media records until its end.
    Media,
    /// What arrived of the other direction.
    Feedback,
}

/// The first 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What follows.
    pub kind: Kind,
    /// How many edges have passed these frames on; 0 from the one that holds their publishers.
    pub hops: u8,
    /// The low bits of the tree's epoch.
    pub epoch: u16,
    /// Counts the datagrams of this kind on this connection; starts anywhere and wraps.
    pub sequence: u32,
}

impl Header {
    /// As it travels.
    pub const fn encode(&self) -> [u8; DATAGRAM_HEADER] {
        let kind = match self.kind {
            Kind::Media => MEDIA,
            Kind::Feedback => FEEDBACK,
        };
        let [e0, e1] = self.epoch.to_be_bytes();
        let [s0, s1, s2, s3] = self.sequence.to_be_bytes();
        [
            DATAGRAM_VERSION << 4 | kind,
            self.hops,
            e0,
            e1,
            s0,
            s1,
            s2,
            s3,
        ]
    }

    /// Reads the header and returns what follows it.
    ///
    /// # Errors
    /// [`DatagramError`] for a wrong length, version, kind or count of hops.
    pub fn parse(datagram: &[u8]) -> Result<(Self, &[u8]), DatagramError> {
        if datagram.len() > MAX_DATAGRAM {
            return Err(DatagramError::TooLong(datagram.len()));
        }
        let Some((head, body)) = datagram.split_first_chunk::<DATAGRAM_HEADER>() else {
            return Err(DatagramError::Short(datagram.len()));
        };
        let &[first, hops, e0, e1, sequence @ ..] = head;
        if first >> 4 != DATAGRAM_VERSION {
            return Err(DatagramError::Version(first >> 4));
        }
        let kind = match first & 0x0f {
            MEDIA => Kind::Media,
            FEEDBACK => Kind::Feedback,
            other => return Err(DatagramError::Kind(other)),
        };
        if hops > MAX_HOPS {
            return Err(DatagramError::Hops(hops));
        }
        let header = Self {
            kind,
            hops,
            epoch: u16::from_be_bytes([e0, e1]),
            sequence: u32::from_be_bytes(sequence),
        };
        Ok((header, body))
    }
}

/// A short name of (room, participant) on one connection and direction. Never 0, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alias(NonZeroU32);

impl Alias {
    /// The alias with this number; 0 is none.
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number on the wire.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// How long ago a frame reached its first edge, in steps of 2 ms. 510 ms stands for all that is older.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Age(u8);

impl Age {
    /// The age on the wire.
    pub const fn from_units(units: u8) -> Self {
        Self(units)
    }

    /// As it travels.
    pub const fn units(self) -> u8 {
        self.0
    }

    /// The nearest step.
    pub fn from_duration(age: Duration) -> Self {
        let steps = age.saturating_add(AGE_UNIT / 2).as_micros() / AGE_UNIT.as_micros();
        Self(u8::try_from(steps).unwrap_or(u8::MAX))
    }

    /// What it stands for.
    pub fn duration(self) -> Duration {
        AGE_UNIT * u32::from(self.0)
    }

    /// This age and what a hop adds to it: its residence, or its estimate of one way.
    #[must_use]
    pub fn plus(self, more: Duration) -> Self {
        Self::from_duration(self.duration().saturating_add(more))
    }
}

/// How a record that leaves says whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label<'a> {
    /// The other side has said that it knows the short name.
    Alias(Alias),
    /// In full: the participant, which is the frame's, and this room.
    Long(&'a RoomName),
}

impl Label<'_> {
    /// Bytes of the record that carries so much payload under this label.
    pub fn record_len(&self, payload: usize) -> usize {
        let long = match self {
            Self::Alias(_) => 0,
            Self::Long(room) => ID_LEN + 1 + room.reveal().len(),
        };
        RECORD_HEADER + long + payload
    }
}

/// How a record that arrived says whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// By its short name.
    Alias(Alias),
    /// In full.
    Long {
        /// Whose it is.
        participant: ParticipantId,
        /// The room.
        room: RoomName,
    },
}

/// One frame in a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Whose it is.
    pub name: Name,
    /// How old it is.
    pub age: Age,
    /// The payload of a MEDIA frame: media header and codec bytes, not looked into.
    pub payload: &'a [u8],
}

/// Appends a record. The caller has made sure that it fits and that `payload` is that of a MEDIA frame.
pub fn put_record(
    datagram: &mut BytesMut,
    label: Label<'_>,
    participant: ParticipantId,
    age: Age,
    payload: &[u8],
) {
    let length = label.record_len(payload.len()) - RECORD_HEADER;
    datagram.put_u16(length as u16);
    match label {
        Label::Alias(alias) => {
            datagram.put_u32(alias.get());
            datagram.put_u8(age.units());
        }
        Label::Long(room) => {
            let room = room.reveal();
            datagram.put_u32(LONG_FORM);
            datagram.put_u8(age.units());
            datagram.put_slice(participant.as_bytes());
            datagram.put_u8(room.len() as u8);
            datagram.put_slice(room.as_bytes());
        }
    }
    datagram.put_slice(payload);
}

/// The records of a media datagram, borrowed from it. The first error ends it.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// Reads what follows the header.
    ///
    /// # Errors
    /// [`DatagramError::Empty`] where nothing does.
    pub const fn new(body: &'a [u8]) -> Result<Self, DatagramError> {
        if body.is_empty() {
            return Err(DatagramError::Empty);
        }
        Ok(Self { rest: body })
    }

    fn record(&mut self) -> Result<Record<'a>, DatagramError> {
        let Some((head, rest)) = self.rest.split_first_chunk::<RECORD_HEADER>() else {
            return Err(DatagramError::Truncated);
        };
        let &[l0, l1, a0, a1, a2, a3, age] = head;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let Some((body, rest)) = rest.split_at_checked(length) else {
            return Err(DatagramError::Truncated);
        };
        self.rest = rest;
        let (name, payload) = match Alias::new(u32::from_be_bytes([a0, a1, a2, a3])) {
            Some(alias) => (Name::Alias(alias), body),
            None => long_form(body)?,
        };
        if payload.is_empty() || payload.len() > MAX_RECORD_PAYLOAD {
            return Err(DatagramError::Payload(payload.len()));
        }
        Ok(Record {
            name,
            age: Age(age),
            payload,
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, DatagramError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = self.record();
        if record.is_err() {
            self.rest = &[];
        }
        Some(record)
    }
}

fn long_form(body: &[u8]) -> Result<(Name, &[u8]), DatagramError> {
    let (id, rest) = body
        .split_at_checked(ID_LEN)
        .ok_or(DatagramError::LongForm)?;
    let (&length, rest) = rest.split_first().ok_or(DatagramError::LongForm)?;
    let (room, payload) = rest
        .split_at_checked(usize::from(length))
        .ok_or(DatagramError::LongForm)?;
    let participant = ParticipantId::parse(id).map_err(|_| DatagramError::Name)?;
    let room = std::str::from_utf8(room)
        .ok()
        .and_then(|room| RoomName::parse(room).ok())
        .ok_or(DatagramError::Name)?;
    Ok((Name::Long { participant, room }, payload))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: Header = Header {
        kind: Kind::Media,
        hops: 1,
        epoch: 0x0203,
        sequence: 0x0405_0607,
    };

    fn parse(datagram: &[u8]) -> Result<Vec<Record<'_>>, DatagramError> {
        let (_, body) = Header::parse(datagram)?;
        Records::new(body)?.collect()
    }

    fn with_body(body: &[u8]) -> Vec<u8> {
        [&HEADER.encode()[..], body].concat()
    }

    #[test]
    fn each_fault_has_its_name() {
        let mut first = HEADER.encode();
        assert_eq!(parse(&first[..7]), Err(DatagramError::Short(7)));
        assert_eq!(parse(&[0x11; 1_163]), Err(DatagramError::TooLong(1_163)));
        first[0] = 0x21;
        assert_eq!(parse(&first), Err(DatagramError::Version(2)));
        first[0] = 0x13;
        assert_eq!(parse(&first), Err(DatagramError::Kind(3)));
        first[0] = 0x11;
        first[1] = 5;
        assert_eq!(parse(&first), Err(DatagramError::Hops(5)));
        for (body, error) in [
            (&[][..], DatagramError::Empty),
            (&[0, 1, 0, 0, 0, 9], DatagramError::Truncated),
            (&[0, 2, 0, 0, 0, 9, 0, 1], DatagramError::Truncated),
            (&[0, 0, 0, 0, 0, 9, 0], DatagramError::Payload(0)),
            (&[0, 1, 0, 0, 0, 0, 0, 1], DatagramError::LongForm),
        ] {
            assert_eq!(parse(&with_body(body)), Err(error), "{body:?}");
        }
        let mut long = vec![3, 0xc4, 0, 0, 0, 9, 0];
        long.extend([7; 964]);
        assert_eq!(parse(&with_body(&long)), Err(DatagramError::Payload(964)));
    }

    #[test]
    fn a_long_form_is_checked_as_names_are() {
        let id = ParticipantId::from_random([3; 16]);
        let record = |id: &[u8], room: &[u8]| {
            let mut body = vec![0, (id.len() + 1 + room.len() + 1) as u8, 0, 0, 0, 0, 0];
            body.extend(id);
            body.push(room.len() as u8);
            body.extend(room);
            body.push(7);
            with_body(&body)
        };
        assert!(parse(&record(id.as_bytes(), b"room")).is_ok());
        for (id, room) in [
            (&[0; 36][..], &b"room"[..]),
            (id.as_bytes(), b""),
            (id.as_bytes(), b"a b"),
            (id.as_bytes(), &[0xff]),
        ] {
            assert_eq!(parse(&record(id, room)), Err(DatagramError::Name));
        }
    }

    #[test]
    fn ages_saturate_and_round_to_the_nearest_step() {
        let ms = Duration::from_millis;
        assert_eq!(Age::from_duration(Duration::from_micros(999)).units(), 0);
        assert_eq!(Age::from_duration(ms(1)).units(), 1);
        assert_eq!(Age::from_duration(ms(9_000)).duration(), ms(510));
        assert_eq!(Age::from_units(254).plus(ms(3)).units(), 255);
        assert_eq!(Age::from_units(3).plus(Duration::MAX).units(), 255);
    }

    proptest! {
        #[test]
        fn what_is_put_is_read(
            hops in 0..=MAX_HOPS, epoch: u16, sequence: u32,
            records in prop::collection::vec(
                (any::<u32>(), "[A-Za-z0-9_-]{1,64}", any::<[u8; 16]>(), any::<u8>(), 1..300_usize),
                1..4,
            ),
        ) {
            let header = Header { hops, epoch, sequence, ..HEADER };
            let mut datagram = BytesMut::from(&header.encode()[..]);
            let mut expected = Vec::new();
            let payload = [0x5a; 300];
            for (alias, room, random, age, size) in &records {
                let room = RoomName::parse(room).unwrap();
                let participant = ParticipantId::from_random(*random);
                let alias = Alias::new(*alias >> 31);
                let label = alias.map_or(Label::Long(&room), Label::Alias);
                let before = datagram.len();
                put_record(&mut datagram, label, participant, Age(*age), &payload[..*size]);
                prop_assert_eq!(datagram.len() - before, label.record_len(*size));
                let name = match alias {
                    Some(alias) => Name::Alias(alias),
                    None => Name::Long { participant, room },
                };
                expected.push(Record { name, age: Age(*age), payload: &payload[..*size] });
            }
            prop_assume!(datagram.len() <= MAX_DATAGRAM);
            let (parsed, body) = Header::parse(&datagram).unwrap();
            prop_assert_eq!(parsed, header);
            let records: Vec<_> = Records::new(body).unwrap().map(Result::unwrap).collect();
            prop_assert_eq!(records, expected);
        }

        #[test]
        fn reading_never_panics_and_never_yields_more_than_there_is(bytes: Vec<u8>) {
            let bytes = with_body(&bytes);
            if let Ok(records) = parse(&bytes) {
                let read: usize = records.iter().map(|record| record.payload.len() + RECORD_HEADER).sum();
                prop_assert!(read + DATAGRAM_HEADER <= bytes.len());
            }
        }
    }
}
