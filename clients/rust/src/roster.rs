//! Who is in the room and what they publish, kept from WELCOME, ROSTER and the track messages as
//! PROTOCOL.md section 4 has it. It forgets nobody's name, so that a last report can use it.

use std::collections::BTreeMap;

use pulse_proto::{
    DisplayName, ParticipantId,
    control::{Participant, Roster, RosterSnapshot, Source, TrackConfig},
};

use crate::limits::MAX_STREAMS;

/// The others.
#[derive(Debug, Default)]
pub(crate) struct Members {
    epoch: u64,
    present: BTreeMap<ParticipantId, BTreeMap<u8, Source>>,
    names: BTreeMap<ParticipantId, DisplayName>,
    sources: BTreeMap<(ParticipantId, u8), Source>,
}

impl Members {
    /// Starts anew from a WELCOME.
    pub(crate) fn reset(&mut self, roster: &RosterSnapshot) {
        self.epoch = roster.epoch;
        self.present.clear();
        for participant in &roster.participants {
            self.enter(participant);
        }
    }

    /// Takes a ROSTER; says whether it follows the last one. If not, one was missed.
    #[must_use]
    pub(crate) fn update(&mut self, roster: &Roster) -> bool {
        if roster.epoch != self.epoch.wrapping_add(1) {
            return false;
        }
        self.epoch = roster.epoch;
        for participant in &roster.joined {
            self.enter(participant);
        }
        for participant in &roster.updated {
            self.name(participant);
        }
        for gone in &roster.left {
            self.present.remove(&gone.id);
        }
        true
    }

    /// A track began or changed.
    pub(crate) fn track(&mut self, participant: ParticipantId, track: &TrackConfig) {
        if let Some(tracks) = self.present.get_mut(&participant) {
            tracks.insert(track.track, track.source);
        }
        if self.sources.len() < MAX_STREAMS {
            self.sources
                .insert((participant, track.track), track.source);
        }
    }

    /// A track ended.
    pub(crate) fn track_stop(&mut self, participant: ParticipantId, track: u8) {
        if let Some(tracks) = self.present.get_mut(&participant) {
            tracks.remove(&track);
        }
    }

    /// How many are there, besides us.
    pub(crate) fn count(&self) -> usize {
        self.present.len()
    }

    /// Whether somebody publishes a track right now.
    pub(crate) fn publishes(&self, participant: ParticipantId, track: u8) -> bool {
        self.present
            .get(&participant)
            .is_some_and(|tracks| tracks.contains_key(&track))
    }

    /// What somebody is, or was, called.
    pub(crate) fn name_of(&self, participant: ParticipantId) -> &str {
        self.names
            .get(&participant)
            .map_or("somebody", DisplayName::as_str)
    }

    /// What a track shows, or showed.
    pub(crate) fn source_of(&self, participant: ParticipantId, track: u8) -> Option<Source> {
        self.sources.get(&(participant, track)).copied()
    }

    fn enter(&mut self, participant: &Participant) {
        self.name(participant);
        self.present.insert(participant.id, BTreeMap::new());
        for track in &participant.tracks {
            self.track(participant.id, track);
        }
    }

    fn name(&mut self, participant: &Participant) {
        if self.names.len() < MAX_STREAMS || self.names.contains_key(&participant.id) {
            self.names.insert(participant.id, participant.name.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use pulse_proto::control::{CodecConfig, Gone, LeaveReason, Protocol};

    use super::*;

    fn camera() -> TrackConfig {
        TrackConfig {
            track: 1,
            source: Source::Camera,
            version: 0,
            muted: false,
            interrupted: None,
            config: CodecConfig {
                codec: "vp8".into(),
                sample_rate: None,
                number_of_channels: None,
                coded_width: Some(320),
                coded_height: Some(180),
                framerate: None,
                bitrate: None,
                scalability_mode: None,
                color_space: None,
                description: None,
            },
        }
    }

    fn ada(tracks: Vec<TrackConfig>) -> Participant {
        Participant {
            id: ParticipantId::from_random([1; 16]),
            name: DisplayName::parse("Ada").unwrap(),
            protocol: Protocol::V2,
            away: false,
            tracks,
            hand: None,
            quality: None,
        }
    }

    fn roster(epoch: u64) -> Roster {
        Roster {
            epoch,
            joined: Vec::new(),
            updated: Vec::new(),
            left: Vec::new(),
        }
    }

    #[test]
    fn people_come_change_and_go() {
        let mut members = Members::default();
        let id = ada(Vec::new()).id;
        members.reset(&RosterSnapshot {
            epoch: 6,
            participants: vec![ada(vec![camera()])],
        });
        assert!(members.publishes(id, 1));
        // An update says nothing of tracks.
        let updated = Roster {
            updated: vec![ada(Vec::new())],
            ..roster(7)
        };
        assert!(members.update(&updated));
        assert!(members.publishes(id, 1));
        members.track_stop(id, 1);
        assert!(!members.publishes(id, 1));
        members.track(id, &camera());
        let left = Roster {
            left: vec![Gone {
                id,
                reason: LeaveReason::Left,
            }],
            ..roster(8)
        };
        assert!(members.update(&left));
        assert_eq!(members.count(), 0);
        assert_eq!(members.name_of(id), "Ada");
        assert_eq!(members.source_of(id, 1), Some(Source::Camera));
    }

    #[test]
    fn a_gap_is_noticed() {
        let mut members = Members::default();
        assert!(members.update(&roster(1)));
        assert!(!members.update(&roster(3)));
        assert!(!members.update(&roster(1)));
        assert!(members.update(&roster(2)));
    }
}
