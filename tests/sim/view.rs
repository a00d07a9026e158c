//! What one member has been told: who is in the room, what they publish, what was said. It finds what no
//! member may ever be told, whatever happens around it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use pulse_proto::{
    Frame, FrameType, ParticipantId,
    control::{
        Chat, Control as _, KeyframeRequest, Participant, Roster, TrackConfig, TrackStop, Welcome,
    },
    media::MediaHeader,
};

/// Chunks of one track that are remembered.
const REMEMBERED: usize = 600;

/// What a frame meant.
#[derive(Debug)]
pub(crate) enum Told {
    Welcome(Box<Welcome>),
    /// These are no longer there.
    Left(Vec<ParticipantId>),
    Chat(Chat),
    Media(ParticipantId, MediaHeader),
    Keyframe,
    Other,
}

/// What a member must not be told.
#[derive(Debug)]
pub(crate) enum Fault {
    Unreadable,
    Twice(String),
    Echo,
    Roster(String),
}

/// Somebody as this member sees them.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) away: bool,
    pub(crate) hand: bool,
    pub(crate) tracks: BTreeSet<u8>,
}

impl Seen {
    fn of(participant: &Participant) -> Self {
        Self {
            name: participant.name.as_str().to_owned(),
            away: participant.away,
            hand: participant.hand.is_some(),
            tracks: participant.tracks.iter().map(|track| track.track).collect(),
        }
    }
}

#[derive(Debug, Default)]
struct Chunks {
    seen: BTreeSet<(u32, u16)>,
    order: VecDeque<(u32, u16)>,
}

/// One member's knowledge, for as long as its connection lasts.
#[derive(Debug)]
pub(crate) struct View {
    own: ParticipantId,
    pub(crate) welcomed: bool,
    epoch: u64,
    pub(crate) others: BTreeMap<ParticipantId, Seen>,
    chunks: BTreeMap<(ParticipantId, u8), Chunks>,
    /// What was said, by the names that its senders gave it.
    pub(crate) chats: Vec<String>,
}

impl View {
    pub(crate) const fn new(own: ParticipantId) -> Self {
        Self {
            own,
            welcomed: false,
            epoch: 0,
            others: BTreeMap::new(),
            chunks: BTreeMap::new(),
            chats: Vec::new(),
        }
    }

    /// What has come of a track of anybody may come again.
    pub(crate) fn forget(&mut self, track: u8) {
        self.chunks.retain(|(_, of), _| *of != track);
    }

    /// Takes a frame.
    pub(crate) fn on_frame(&mut self, frame: &Frame) -> Result<Told, Fault> {
        let payload = frame.payload();
        match frame.kind() {
            FrameType::Media => self.on_media(frame),
            FrameType::Welcome => {
                let welcome = Welcome::parse(payload).map_err(|_| Fault::Unreadable)?;
                if std::mem::replace(&mut self.welcomed, true) {
                    return Err(Fault::Roster("a second welcome".to_owned()));
                }
                self.epoch = welcome.roster.epoch;
                for other in &welcome.roster.participants {
                    self.join(other)?;
                }
                Ok(Told::Welcome(Box::new(welcome)))
            }
            FrameType::Roster => {
                let change = Roster::parse(payload).map_err(|_| Fault::Unreadable)?;
                self.on_roster(&change)
            }
            FrameType::TrackConfig => {
                let config = TrackConfig::parse(payload).map_err(|_| Fault::Unreadable)?;
                if let Some(other) = self.others.get_mut(&frame.sender()) {
                    other.tracks.insert(config.track);
                }
                Ok(Told::Other)
            }
            FrameType::TrackStop => {
                let stop = TrackStop::parse(payload).map_err(|_| Fault::Unreadable)?;
                if let Some(other) = self.others.get_mut(&frame.sender()) {
                    other.tracks.remove(&stop.track);
                }
                Ok(Told::Other)
            }
            FrameType::Chat => {
                let chat = Chat::parse(payload).map_err(|_| Fault::Unreadable)?;
                if self.chats.contains(&chat.nonce) {
                    return Err(Fault::Twice(format!("the message {}", chat.nonce)));
                }
                self.chats.push(chat.nonce.clone());
                Ok(Told::Chat(chat))
            }
            FrameType::KeyframeRequest => {
                KeyframeRequest::parse(payload).map_err(|_| Fault::Unreadable)?;
                Ok(Told::Keyframe)
            }
            _ => Ok(Told::Other),
        }
    }

    fn on_roster(&mut self, change: &Roster) -> Result<Told, Fault> {
        if change.epoch != self.epoch + 1 {
            let text = format!("change {} behind {}", change.epoch, self.epoch);
            return Err(Fault::Roster(text));
        }
        self.epoch = change.epoch;
        for joined in &change.joined {
            self.join(joined)?;
        }
        for updated in change.updated.iter().filter(|other| other.id != self.own) {
            let Some(other) = self.others.get_mut(&updated.id) else {
                return Err(Fault::Roster(format!(
                    "{:?} changed and is unknown",
                    updated.id
                )));
            };
            let tracks = std::mem::take(&mut other.tracks);
            *other = Seen {
                tracks,
                ..Seen::of(updated)
            };
        }
        let left: Vec<ParticipantId> = change.left.iter().map(|gone| gone.id).collect();
        for id in &left {
            if self.others.remove(id).is_none() {
                return Err(Fault::Roster(format!("{id:?} left and is unknown")));
            }
            self.chunks.retain(|(of, _), _| of != id);
        }
        Ok(Told::Left(left))
    }

    fn join(&mut self, other: &Participant) -> Result<(), Fault> {
        let before = self.others.insert(other.id, Seen::of(other));
        if before.is_some() || other.id == self.own {
            return Err(Fault::Roster(format!("{:?} came twice", other.id)));
        }
        Ok(())
    }

    fn on_media(&mut self, frame: &Frame) -> Result<Told, Fault> {
        let header = MediaHeader::parse(frame).map_err(|_| Fault::Unreadable)?;
        if frame.sender() == self.own {
            return Err(Fault::Echo);
        }
        let chunks = self
            .chunks
            .entry((frame.sender(), header.track))
            .or_default();
        if !chunks.seen.insert((header.sequence, header.chunk)) {
            let what = format!(
                "track {} frame {} chunk {} of {:?}",
                header.track,
                header.sequence,
                header.chunk,
                frame.sender()
            );
            return Err(Fault::Twice(what));
        }
        chunks.order.push_back((header.sequence, header.chunk));
        if chunks.order.len() > REMEMBERED
            && let Some(oldest) = chunks.order.pop_front()
        {
            chunks.seen.remove(&oldest);
        }
        Ok(Told::Media(frame.sender(), header))
    }
}
