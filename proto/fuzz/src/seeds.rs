//! Writes the seeds of every target from the golden vectors: `seeds CORPUS_FOLDER`.

// Built with the flags of the targets, whose coverage calls the fuzzer.
use libfuzzer_sys as _;

use std::{error::Error, fs, path::Path};

use serde_json::Value;

fn hex(digits: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    (0..digits.len())
        .step_by(2)
        .map(|at| {
            let byte = digits.get(at..at + 2).ok_or("half a byte")?;
            Ok(u8::from_str_radix(byte, 16)?)
        })
        .collect()
}

/// The bytes of an entry; no seed needs its repetition in full.
fn message(entry: &Value) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut bytes = hex(entry["hex"].as_str().ok_or("no hex")?)?;
    if let Some(repeat) = entry.get("repeat") {
        let byte = hex(repeat["byte"].as_str().ok_or("no byte")?)?;
        let times = repeat["times"].as_u64().ok_or("no times")?.min(1_000);
        bytes.extend(byte.repeat(usize::try_from(times)?));
        bytes.extend(hex(repeat["then"].as_str().unwrap_or_default())?);
    }
    Ok(bytes)
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args()
        .nth(1)
        .ok_or("usage: seeds CORPUS_FOLDER")?;
    let vectors: Value = serde_json::from_str(include_str!("../../vectors.json"))?;
    let section = |name: &str| vectors[name].as_array().cloned().unwrap_or_default();
    let mut seeds: Vec<(&str, Vec<u8>)> = Vec::new();
    for entry in [section("frames"), section("media"), section("malformed")].concat() {
        let bytes = message(&entry)?;
        match bytes.get(36..) {
            Some([3 | 4 | 7 | 8, payload @ ..]) => seeds.push(("v1", payload.to_vec())),
            Some(typed @ [16..=28 | 30..=31, ..]) => seeds.push(("control", typed.to_vec())),
            _ => {}
        }
        seeds.push(("frame", bytes));
    }
    for entry in section("control") {
        let edge_chat = entry["type"] == 21 && entry["from"] == "edge";
        let kind = if edge_chat {
            29
        } else {
            u8::try_from(entry["type"].as_u64().ok_or("no type")?)?
        };
        let mut seed = vec![kind];
        seed.extend(serde_json::to_vec(&entry["json"])?);
        seeds.push(("control", seed));
    }
    for entry in section("v1") {
        seeds.push(("v1", hex(entry["payload"].as_str().ok_or("no payload")?)?));
    }
    for entry in section("images") {
        let mut seed = vec![1, 0, 0, 0, 0, 0, 0, 0, 0];
        seed.extend(hex(entry["hex"].as_str().ok_or("no hex")?)?);
        seeds.push(("v1", seed));
    }
    // Three chunks of frame 5 in order, backwards, doubled, and a chunk that contradicts them.
    for order in [&[0_u8, 1, 2][..], &[2, 1, 0], &[0, 0, 1, 2], &[0, 2]] {
        let step = |chunk: &u8| [5, *chunk, u8::from(*chunk == 2), 10, *chunk];
        seeds.push(("media_reassembly", order.iter().flat_map(step).collect()));
    }
    seeds.push((
        "media_reassembly",
        vec![
            5, 0, 0, 0, 1, 5, 1, 16, 0, 1, 99, 0, 1, 3, 1, 101, 0, 65, 3, 1,
        ],
    ));
    // Each datagram alone, and all of them one after the other, before and after the names they use.
    let mut all = Vec::new();
    for entry in [
        section("datagrams"),
        section("reports"),
        section("malformedDatagrams"),
    ]
    .concat()
    {
        let bytes = message(&entry)?;
        let mut seed = vec![0];
        seed.extend(u16::try_from(bytes.len())?.to_be_bytes());
        seed.extend(bytes);
        all.extend(&seed);
        seeds.push(("depacketizer", seed));
    }
    let names = [1, 1, 0, 1, 1, 1, 3, 5];
    seeds.push(("depacketizer", [&all[..], &names, &all].concat()));
    // Each message alone, and all of them as one stream that comes in pieces.
    let mut stream = vec![7];
    for entry in section("cluster") {
        let bytes = message(&entry)?;
        let kinds = ["link", "to core", "from core"];
        let kind = kinds.iter().position(|kind| entry["kind"] == *kind);
        let mut seed = vec![u8::try_from(kind.ok_or("no such kind")?)?];
        seed.extend(bytes.get(4..).ok_or("no length")?);
        stream.extend(&bytes);
        seeds.push(("cluster", seed));
    }
    seeds.push(("cluster", stream));
    for (index, (target, seed)) in seeds.iter().enumerate() {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("seed-{index}")), seed)?;
    }
    Ok(())
}
