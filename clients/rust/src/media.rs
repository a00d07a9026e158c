//! The encoded picture and tone that bots send. `media/generate.mjs` made them and describes their
//! form; what a frame needs of others follows from its temporal layer.

use bytes::Bytes;
use pulse_proto::media::LEVEL_SILENT;

const MAGIC: &[u8] = b"PULSECLP";

/// One codec frame of a clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Temporal layer, 0..=3.
    pub temporal: u8,
    /// Distance to the newest frame it needs; 0 for a keyframe.
    pub reference: u8,
    /// No later frame needs it.
    pub discardable: bool,
    /// Audio level as in the media header.
    pub level: u8,
    /// The codec's bytes.
    pub payload: Bytes,
}

/// A few seconds of one track, to be played in a loop. It has packets, and the first is a keyframe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    /// Time from one packet to the next.
    pub packet_us: u32,
    /// The packets.
    pub packets: Vec<Packet>,
}

/// 320×180 VP8 at 15 frames a second, L1T3, a keyframe each 32 frames.
pub fn clip() -> Option<Clip> {
    read(include_bytes!("../media/clip.vp8"), video)
}

/// Opus, 48 kHz mono, 20 ms a packet.
pub fn tone() -> Option<Clip> {
    read(include_bytes!("../media/tone.opus"), audio)
}

/// Reads a file; `packet` makes packets of the byte about each.
fn read(
    file: &'static [u8],
    mut packet: impl FnMut(&[Packet], u8, Bytes) -> Option<Packet>,
) -> Option<Clip> {
    let rest = file.strip_prefix(MAGIC)?;
    let (duration, rest) = rest.split_first_chunk::<4>()?;
    let (count, mut rest) = rest.split_first_chunk::<2>()?;
    let mut packets = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (&[about, ref length @ ..], tail) = rest.split_first_chunk::<5>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (payload, tail) = tail.split_at_checked(length)?;
        packets.push(packet(&packets, about, Bytes::from_static(payload))?);
        rest = tail;
    }
    let packet_us = u32::from_be_bytes(*duration);
    let whole = rest.is_empty() && packet_us > 0;
    (whole && packets.first()?.reference == 0).then_some(Clip { packet_us, packets })
}

fn audio(_: &[Packet], level: u8, payload: Bytes) -> Option<Packet> {
    Some(Packet {
        temporal: 0,
        reference: 0,
        discardable: false,
        level,
        payload,
    })
}

fn video(before: &[Packet], about: u8, payload: Bytes) -> Option<Packet> {
    let temporal = about & 0x0f;
    // A frame of layer 0 needs the last one of layer 0, one of another layer the newest below it.
    let needs = |packet: &Packet| packet.temporal < temporal.max(1);
    let reference = if about & 0x80 == 0 {
        let distance = before.iter().rev().position(needs)? + 1;
        u8::try_from(distance).ok()?
    } else {
        0
    };
    Some(Packet {
        temporal,
        reference,
        discardable: temporal == 2,
        level: LEVEL_SILENT,
        payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_those_that_were_generated() {
        let sums = include_str!("../media/SHA256SUMS");
        let files = [
            ("clip.vp8", &include_bytes!("../media/clip.vp8")[..]),
            ("tone.opus", &include_bytes!("../media/tone.opus")[..]),
        ];
        assert_eq!(sums.lines().count(), files.len());
        for ((name, bytes), line) in files.iter().zip(sums.lines()) {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
            let hex: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(line, format!("{hex}  {name}"));
        }
        assert!(files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() < 400_000);
    }

    #[test]
    fn the_picture_is_l1t3_with_keyframes() {
        let clip = clip().unwrap();
        assert_eq!((clip.packets.len(), clip.packet_us), (96, 66_667));
        for (index, packet) in clip.packets.iter().enumerate() {
            let (temporal, reference) = match index % 4 {
                0 if index % 32 == 0 => (0, 0),
                0 => (0, 4),
                2 => (1, 2),
                _ => (2, 1),
            };
            assert_eq!((packet.temporal, packet.reference), (temporal, reference));
            assert_eq!(packet.discardable, temporal == 2);
            // Bit 0 of a VP8 frame is clear in keyframes (RFC 6386, 9.1).
            assert_eq!(packet.payload[0] & 1 == 0, reference == 0);
        }
    }

    #[test]
    fn the_tone_is_opus_that_beeps() {
        let tone = tone().unwrap();
        assert_eq!((tone.packets.len(), tone.packet_us), (100, 20_000));
        let level = |packet: &Packet| packet.level & 0x7f;
        assert!(tone.packets.iter().all(|packet| packet.reference == 0));
        assert!(tone.packets.iter().any(|packet| level(packet) < 25));
        assert!(tone.packets.iter().any(|packet| level(packet) > 30));
        // The two low bits of an Opus packet's first byte: one frame (RFC 6716, 3.1).
        assert!(tone.packets.iter().all(|packet| packet.payload[0] & 3 == 0));
    }

    #[test]
    fn a_damaged_file_is_no_clip() {
        let file: &'static [u8] = include_bytes!("../media/tone.opus");
        assert_eq!(read(&file[..file.len() - 1], audio), None);
        assert_eq!(read(&file[1..], audio), None);
        assert_eq!(read(b"PULSECLP\0\0\0\x01\0\0", audio), None);
    }
}
