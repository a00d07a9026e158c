//! What a room knows of one member, wherever its connection is.

use std::{collections::BTreeMap, time::Instant};

use pulse_proto::{
    DisplayName, ParticipantId,
    backbone::Window,
    cluster::{
        EdgeId,
        link::{DIGEST, Row},
    },
    control::{Participant, Protocol, Quality, Subscribe, TrackConfig},
};

use super::{
    ConnectionId, JoinRequest,
    demand::{Decodes, Told},
};
use crate::{room::cache::TrackCache, token};

/// A published track.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) config: TrackConfig,
    pub(super) cache: TrackCache,
    /// What has come of it from another edge, by spatial layer.
    pub(super) seen: BTreeMap<u8, Window>,
    /// What its publisher was told last of who wants it.
    pub(super) told: Option<Told>,
}

/// Which edge holds a member's connection, and is the only one that may say what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// This one.
    Here,
    /// Another one; `away`: it says that the connection is lost, or nothing is heard of that edge.
    There { edge: EdgeId, away: bool },
}

/// One member.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: ParticipantId,
    pub(super) name: DisplayName,
    pub(super) protocol: Protocol,
    pub(super) home: Home,
    /// How often it has moved from edge to edge.
    pub(super) moves: u32,
    pub(super) v1_bridge: bool,
    pub(super) demand: bool,
    pub(super) decodes: Decodes,
    /// Its connection, if that is here.
    pub(super) connection: Option<ConnectionId>,
    /// When a connection here was lost.
    pub(super) away_since: Option<Instant>,
    /// The epoch it came with.
    pub(super) joined_at: u64,
    /// What it was told to resume with; empty for one of another edge.
    pub(super) token: String,
    /// By what any edge tells that it is the one who resumes.
    pub(super) resume: Option<[u8; DIGEST]>,
    pub(super) tracks: BTreeMap<u8, Track>,
    pub(super) wants: Subscribe,
    pub(super) hand: Option<u64>,
    pub(super) quality: Option<Quality>,
}

impl Member {
    /// Somebody who joins here.
    pub(super) fn joining(request: JoinRequest, joined_at: u64) -> Self {
        Self {
            id: request.id,
            name: request.name,
            protocol: request.protocol,
            home: Home::Here,
            moves: 0,
            v1_bridge: request.v1_bridge,
            demand: request.demand,
            decodes: request.decodes,
            connection: Some(request.connection),
            away_since: None,
            joined_at,
            resume: (request.protocol == Protocol::V2).then(|| token::digest(&request.token)),
            token: request.token,
            tracks: BTreeMap::new(),
            wants: Subscribe::everything(),
            hand: None,
            quality: None,
        }
    }

    /// Somebody whom another edge holds, without tracks yet.
    pub(super) fn elsewhere(edge: EdgeId, row: &Row, joined_at: u64) -> Self {
        let told = &row.participant;
        Self {
            id: told.id,
            name: told.name.clone(),
            protocol: told.protocol,
            home: Home::There {
                edge,
                away: told.away,
            },
            moves: row.moves,
            v1_bridge: false,
            demand: false,
            decodes: Decodes::NONE,
            connection: None,
            away_since: None,
            joined_at,
            token: String::new(),
            resume: row.resume,
            tracks: BTreeMap::new(),
            wants: Subscribe::everything(),
            hand: told.hand,
            quality: told.quality,
        }
    }

    pub(super) fn is_v1(&self) -> bool {
        self.protocol == Protocol::V1
    }

    pub(super) fn is_here(&self) -> bool {
        self.home == Home::Here
    }

    pub(super) fn is_at(&self, edge: &EdgeId) -> bool {
        matches!(&self.home, Home::There { edge: home, .. } if home == edge)
    }

    /// Whether nothing comes of it now.
    pub(super) const fn is_away(&self) -> bool {
        match self.home {
            Home::Here => self.away_since.is_some(),
            Home::There { away, .. } => away,
        }
    }

    /// What members are told of it.
    pub(super) fn describe(&self, with_tracks: bool) -> Participant {
        let tracks = self.tracks.values().filter(|_| with_tracks);
        Participant {
            id: self.id,
            name: self.name.clone(),
            protocol: self.protocol,
            away: self.is_away(),
            tracks: tracks.map(|track| track.config.clone()).collect(),
            hand: self.hand,
            quality: self.quality,
        }
    }

    /// What other edges are told of it.
    pub(super) fn row(&self) -> Row {
        Row {
            participant: self.describe(true),
            moves: self.moves,
            resume: self.resume,
        }
    }
}
