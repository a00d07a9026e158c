//! The golden datagrams of `vectors.json` against this crate.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test fail by panicking, too"
)]

use bytes::BytesMut;
use pulse_proto::{
    ParticipantId, RoomName,
    backbone::{
        Age, Alias, DatagramError, Feedback, Label,
        datagram::{Header, Kind, Name, Records, put_record},
    },
};
use serde_json::Value;

fn section(name: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../vectors.json")).unwrap();
    let entries = all[name].as_array().unwrap().clone();
    assert!(!entries.is_empty());
    entries
}

fn hex(digits: &Value) -> Vec<u8> {
    let digits = digits.as_str().unwrap();
    assert!(digits.len().is_multiple_of(2));
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn number<T: TryFrom<u64, Error: std::fmt::Debug>>(entry: &Value, field: &str) -> T {
    entry[field].as_u64().unwrap().try_into().unwrap()
}

fn read(datagram: &[u8]) -> Result<(), DatagramError> {
    let (header, body) = Header::parse(datagram)?;
    match header.kind {
        Kind::Media => Records::new(body)?.try_for_each(|record| record.map(drop)),
        Kind::Feedback => Feedback::parse(&header, body).map(drop),
    }
}

#[test]
fn datagrams() {
    for entry in section("datagrams") {
        let bytes = hex(&entry["hex"]);
        let (header, body) = Header::parse(&bytes).unwrap();
        let expected = Header {
            kind: Kind::Media,
            hops: number(&entry, "hops"),
            epoch: number(&entry, "epoch"),
            sequence: number(&entry, "sequence"),
        };
        assert_eq!(header, expected, "{entry}");
        let records: Vec<_> = Records::new(body).unwrap().map(Result::unwrap).collect();
        let mut built = BytesMut::from(&expected.encode()[..]);
        assert_eq!(records.len(), entry["records"].as_array().unwrap().len());
        for (record, expected) in records.iter().zip(entry["records"].as_array().unwrap()) {
            let age = Age::from_units(number(expected, "age"));
            let payload = hex(&expected["payload"]);
            assert_eq!((record.age, record.payload), (age, &payload[..]), "{entry}");
            let alias = expected.get("alias").is_some();
            let alias = alias.then(|| Alias::new(number(expected, "alias")).unwrap());
            if let Some(alias) = alias {
                assert_eq!(record.name, Name::Alias(alias), "{entry}");
                let label = Label::Alias(alias);
                put_record(&mut built, label, ParticipantId::ZERO, age, &payload);
                continue;
            }
            let room = RoomName::parse(expected["room"].as_str().unwrap()).unwrap();
            let id = ParticipantId::parse(expected["id"].as_str().unwrap().as_bytes()).unwrap();
            put_record(&mut built, Label::Long(&room), id, age, &payload);
            let participant = id;
            assert_eq!(record.name, Name::Long { participant, room }, "{entry}");
        }
        assert_eq!(built, bytes, "{entry}");
    }
}

#[test]
fn reports() {
    for entry in section("reports") {
        let bytes = hex(&entry["hex"]);
        let expected = Feedback {
            number: number(&entry, "number"),
            highest: number(&entry, "highest"),
            arrived_us: number(&entry, "arrivedUs"),
            held_us: number(&entry, "heldUs"),
            datagrams: number(&entry, "datagrams"),
            bytes: number(&entry, "bytes"),
        };
        let (header, body) = Header::parse(&bytes).unwrap();
        assert_eq!(Feedback::parse(&header, body), Ok(expected), "{entry}");
        assert_eq!(expected.encode(), bytes, "{entry}");
    }
}

#[test]
fn malformed_datagrams() {
    for entry in section("malformedDatagrams") {
        let mut bytes = hex(&entry["hex"]);
        if let Some(repeat) = entry.get("repeat") {
            bytes.extend(hex(&repeat["byte"]).repeat(number(repeat, "times")));
        }
        let error = read(&bytes).expect_err(&entry.to_string());
        let variant = format!("{error:?}");
        let variant = variant.split('(').next().unwrap();
        assert_eq!(variant, entry["error"].as_str().unwrap(), "{entry}");
    }
}
