//! When each packet of voice and each picture is due, and how large it is: an open loop, decided
//! before the run, so that a slow system is not asked for less. Pure; the same seed gives the same.

/// µs between packets of voice, and bytes of each.
const VOICE_INTERVAL_US: u64 = 20_000;
pub const VOICE_BYTES: usize = 120;

/// Pictures a second, and how many of them to a keyframe.
const PICTURES_PER_SECOND: u64 = 30;
const PICTURES_PER_KEYFRAME: u64 = 4 * PICTURES_PER_SECOND;

/// How large a camera's pictures are, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Camera {
    pub least: u64,
    pub most: u64,
    pub keyframe: usize,
}

/// 1.75 Mbit/s: 30 × 7,000 bytes, and 33,000 more each 4 s.
const CAMERA: Camera = Camera {
    least: 5_000,
    most: 9_000,
    keyframe: 40_000,
};

const SECOND_US: u64 = 1_000_000;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Voice,
    Picture {
        keyframe: bool,
        bytes: usize,
        /// What it has if it must be a keyframe after all.
        keyframe_bytes: usize,
    },
}

/// When it is due, in µs since the run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub at_us: u64,
    pub kind: Kind,
}

/// A stretch of the call that begins with a keyframe. Voice keeps its beat all the time; each second
/// the pictures get another phase against it, since the two clocks of a real call drift.
pub fn stretch(start_s: u64, length_s: u64, seed: u64) -> Vec<Due> {
    stretch_of(CAMERA, start_s, length_s, seed)
}

/// The same with another camera.
pub fn stretch_of(camera: Camera, start_s: u64, length_s: u64, seed: u64) -> Vec<Due> {
    let mut random = Random(seed);
    let mut all = Vec::new();
    for second in 0..length_s {
        let start_us = (start_s + second) * SECOND_US;
        for number in 0..SECOND_US / VOICE_INTERVAL_US {
            all.push(Due {
                at_us: start_us + number * VOICE_INTERVAL_US,
                kind: Kind::Voice,
            });
        }
        let phase_us = random.below(SECOND_US / PICTURES_PER_SECOND);
        for number in 0..PICTURES_PER_SECOND {
            let keyframe =
                (second * PICTURES_PER_SECOND + number).is_multiple_of(PICTURES_PER_KEYFRAME);
            let bytes = (camera.least + random.below(camera.most - camera.least)) as usize;
            all.push(Due {
                at_us: start_us + phase_us + number * SECOND_US / PICTURES_PER_SECOND,
                kind: Kind::Picture {
                    keyframe,
                    bytes,
                    keyframe_bytes: camera.keyframe,
                },
            });
        }
    }
    all.sort_by_key(|due| due.at_us);
    all
}

/// Numbers that look random (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
