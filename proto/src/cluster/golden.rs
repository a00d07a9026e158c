//! The golden bytes of messages between servers, for the tests beside. A message of which the bytes change is one that
//! older servers read otherwise.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::Value;

fn hex(bytes: &Bytes) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// What `vectors.json` has of one kind is exactly this.
pub(crate) fn assert_golden(kind: &str, travelling: impl Iterator<Item = Bytes>) {
    let vectors: Value = serde_json::from_str(include_str!("../../vectors.json")).unwrap();
    let golden: Vec<&str> = vectors["cluster"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["kind"] == kind)
        .map(|entry| entry["hex"].as_str().unwrap())
        .collect();
    let written: Vec<String> = travelling.map(|bytes| hex(&bytes)).collect();
    assert_eq!(golden, written);
}
