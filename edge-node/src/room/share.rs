//! The one v1 screen share of a room: its MIME type, its init segment, and where a viewer that
//! comes late may begin. Pure. It finds the clusters of a WebM stream and looks no deeper.

use std::collections::HashSet;

use bytes::{Bytes, BytesMut};
use pulse_proto::{Frame, FrameType};

use super::state::Slot;
use crate::limits::MAX_INIT_SEGMENT;

/// The EBML id of a Cluster, and of the Timestamp that is its first element.
const CLUSTER: [u8; 4] = [0x1f, 0x43, 0xb6, 0x75];
const TIMESTAMP: u8 = 0xe7;

/// Bytes that show a Cluster for sure: its id, its size (8 at most), the id of its Timestamp.
const CLUSTER_HEAD: usize = 4 + 8 + 1;

/// The share that v1 members see.
#[derive(Debug)]
pub(crate) struct Share {
    /// Who shares.
    pub(crate) owner: Slot,
    /// SCREEN_SHARE_START as the owner sent it.
    pub(crate) start: Frame,
    init: Init,
    clusters: ClusterScanner,
    /// Viewers that have the init segment and wait for a cluster.
    waiting: HashSet<Slot>,
}

#[derive(Debug)]
enum Init {
    /// Bytes so far, without a cluster among them.
    Growing(BytesMut),
    Whole(Frame),
}

impl Share {
    /// A share begins.
    pub(crate) fn new(owner: Slot, start: Frame) -> Self {
        Self {
            owner,
            start,
            init: Init::Growing(BytesMut::new()),
            clusters: ClusterScanner::default(),
            waiting: HashSet::new(),
        }
    }

    /// Takes a chunk; returns where in its payload a cluster begins.
    pub(crate) fn on_chunk(&mut self, frame: &Frame) -> Option<usize> {
        let chunk = frame.payload();
        let found = self.clusters.scan(chunk);
        if let Init::Growing(init) = &mut self.init {
            let before = init.len();
            init.extend_from_slice(chunk);
            let whole = match found {
                Some(Found { straddles, at }) => Some(if straddles {
                    before.saturating_sub(at)
                } else {
                    before + at
                }),
                None if init.len() > MAX_INIT_SEGMENT => Some(before + chunk.len()),
                None => None,
            };
            if let Some(length) = whole {
                init.truncate(length);
                self.init = Init::Whole(Frame::new(frame.sender(), FrameType::ScreenShare, init));
            }
        }
        found.filter(|found| !found.straddles).map(|found| found.at)
    }

    /// What a viewer that comes now gets first.
    pub(crate) fn welcome(&mut self, viewer: Slot) -> Vec<Frame> {
        let mut frames = vec![self.start.clone()];
        match &self.init {
            Init::Whole(init) => {
                frames.push(init.clone());
                self.waiting.insert(viewer);
            }
            Init::Growing(init) if !init.is_empty() => {
                let sender = self.start.sender();
                frames.push(Frame::new(sender, FrameType::ScreenShare, init));
            }
            Init::Growing(_) => {}
        }
        frames
    }

    /// What one viewer gets of a chunk in which a cluster begins at `cluster_at`, and where the
    /// cluster begins in that.
    pub(crate) fn for_viewer(
        &mut self,
        viewer: Slot,
        frame: &Frame,
        cluster_at: Option<usize>,
    ) -> Option<(Frame, Option<usize>)> {
        if !self.waiting.contains(&viewer) {
            return Some((frame.clone(), cluster_at));
        }
        let cluster = frame.payload().get(cluster_at?..)?;
        self.waiting.remove(&viewer);
        Some((
            Frame::new(frame.sender(), FrameType::ScreenShare, cluster),
            Some(0),
        ))
    }

    /// A viewer is gone.
    pub(crate) fn forget(&mut self, viewer: Slot) {
        self.waiting.remove(&viewer);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    /// The cluster began in an earlier chunk, `at` bytes before this one.
    straddles: bool,
    /// Otherwise its offset in this chunk.
    at: usize,
}

/// Finds the first Cluster that begins in a chunk, or in the end of the one before.
#[derive(Debug, Default)]
struct ClusterScanner {
    tail: Bytes,
}

impl ClusterScanner {
    fn scan(&mut self, chunk: &[u8]) -> Option<Found> {
        let mut joined = self.tail.to_vec();
        joined.extend_from_slice(chunk);
        let earlier = self.tail.len();
        let found = (0..joined.len()).find(|at| joined.get(*at..).is_some_and(is_cluster));
        let tail = joined.len().saturating_sub(CLUSTER_HEAD - 1);
        let tail = found.map_or(tail, |found| tail.max(found + 1));
        self.tail = Bytes::copy_from_slice(joined.get(tail..).unwrap_or_default());
        found.map(|at| match at.checked_sub(earlier) {
            Some(at) => Found {
                straddles: false,
                at,
            },
            None => Found {
                straddles: true,
                at: earlier - at,
            },
        })
    }
}

/// Whether a Cluster begins here: its id, a size of 1 to 8 bytes, and a Timestamp in it.
fn is_cluster(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(&CLUSTER) else {
        return false;
    };
    let Some(first) = rest.first() else {
        return false;
    };
    let size = first.leading_zeros() as usize + 1;
    size <= 8 && rest.get(size) == Some(&TIMESTAMP)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulse_proto::ParticipantId;

    use super::*;

    const HEAD: [u8; 14] = [
        0x1f, 0x43, 0xb6, 0x75, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xe7, 0x81,
    ];
    const OWNER: Slot = Slot(0);
    const VIEWER: Slot = Slot(1);

    fn frame(payload: &[u8]) -> Frame {
        Frame::new(ParticipantId::ZERO, FrameType::ScreenShare, payload)
    }

    fn share() -> Share {
        let mime = b"video/webm;codecs=vp9";
        Share::new(
            OWNER,
            Frame::new(ParticipantId::ZERO, FrameType::ScreenShareStart, mime),
        )
    }

    fn stream(init: usize, clusters: usize, body: usize) -> Vec<u8> {
        let mut bytes = vec![0x1a; init];
        for _ in 0..clusters {
            bytes.extend_from_slice(&HEAD);
            bytes.extend(std::iter::repeat_n(0x55, body));
        }
        bytes
    }

    #[test]
    fn a_viewer_before_the_first_chunk_gets_everything() {
        let mut share = share();
        assert_eq!(share.welcome(VIEWER).len(), 1);
        let chunk = frame(&stream(100, 1, 50));
        let cluster_at = share.on_chunk(&chunk);
        assert_eq!(
            share.for_viewer(VIEWER, &chunk, cluster_at),
            Some((chunk, Some(100)))
        );
    }

    #[test]
    fn a_magic_that_is_no_cluster_is_passed_over() {
        let mut share = share();
        let mut bytes = vec![0; 20];
        bytes.extend_from_slice(&CLUSTER);
        bytes.extend_from_slice(&[0x81, 0x55, 0x55]);
        assert_eq!(share.on_chunk(&frame(&bytes)), None);
    }

    #[test]
    fn a_stream_that_is_not_understood_keeps_its_start() {
        let mut share = share();
        let chunk = frame(&vec![3; MAX_INIT_SEGMENT + 1]);
        assert_eq!(share.on_chunk(&chunk), None);
        assert_eq!(share.welcome(VIEWER)[1].payload(), chunk.payload());
    }

    proptest! {
        /// However a stream is cut, a late viewer gets the init segment, then whole clusters.
        #[test]
        fn late_viewers_begin_at_a_cluster(
            cuts in proptest::collection::vec(1..120_usize, 1..60), join_at in 0..40_usize,
        ) {
            let bytes = stream(61, 40, 77);
            let mut share = share();
            let mut got = Vec::new();
            let mut joined = false;
            let (mut rest, mut cuts) = (&bytes[..], cuts.iter().cycle());
            for step in 0.. {
                if step == join_at {
                    joined = true;
                    for frame in share.welcome(VIEWER).iter().skip(1) {
                        got.extend_from_slice(frame.payload());
                    }
                }
                if rest.is_empty() {
                    break;
                }
                let (chunk, tail) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                rest = tail;
                let chunk = frame(chunk);
                let cluster_at = share.on_chunk(&chunk);
                if joined
                    && let Some((frame, _)) = share.for_viewer(VIEWER, &chunk, cluster_at) {
                    got.extend_from_slice(frame.payload());
                }
            }
            let clusters = got.len().saturating_sub(61) / 91;
            if got.len() > 61 {
                prop_assert_eq!(&got, &stream(61, clusters, 77));
            }
        }
    }
}
