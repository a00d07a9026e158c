//! What a room does for members that speak the original wire, and the translation between them and
//! the others.

use pulse_proto::{
    Frame, FrameType, ParticipantId,
    cluster::EdgeId,
    v1::{self, ChatBody},
};

use super::{ChatContent, Effect, Member, Slot, State};
use crate::{outbox::Class, room::share::Share};

impl State {
    /// A frame of a type below 16 that the original server relays as it is.
    pub(super) fn on_v1(&mut self, from: Slot, frame: &Frame, fx: &mut Vec<Effect>) {
        match frame.kind() {
            FrameType::Audio => self.to_viewers(from, Class::V1Audio, frame, fx),
            FrameType::JoinRequest => {
                self.to_all(Some(from), Member::is_v1, Class::Control, frame, fx);
            }
            FrameType::ScreenShareStart => {
                if let Some(owner) = self.share.as_ref().map(|share| share.owner) {
                    self.end_share(owner, fx);
                }
                self.share = Some(Share::new(from, frame.clone()));
                self.to_viewers(from, SHARE_EDGE, frame, fx);
            }
            FrameType::ScreenShare => self.on_share_chunk(from, frame, fx),
            FrameType::ScreenShareStop => self.end_share(from, fx),
            _ => {}
        }
    }

    /// Ends the share if `owner` is the one who shares.
    pub(super) fn end_share(&mut self, owner: Slot, fx: &mut Vec<Effect>) {
        let Some(share) = self.share.take_if(|share| share.owner == owner) else {
            return;
        };
        let stop = Frame::new(share.start.sender(), FrameType::ScreenShareStop, &[]);
        self.to_viewers(owner, SHARE_EDGE, &stop, fx);
    }

    /// Gives a newcomer the share that is on.
    pub(super) fn show_share(&mut self, viewer: Slot, fx: &mut Vec<Effect>) {
        let Some(owner) = self.share.as_ref().map(|share| share.owner) else {
            return;
        };
        if !self.views(owner, viewer) {
            return;
        }
        let frames = self
            .share
            .as_mut()
            .map(|share| share.welcome(viewer))
            .unwrap_or_default();
        let sends = frames.into_iter().map(|frame| Effect::Send {
            slot: viewer,
            class: SHARE_EDGE,
            frame,
        });
        fx.extend(sends);
    }

    pub(super) fn tell_user_list(&self, fx: &mut Vec<Effect>) {
        if !self.members.iter().flatten().any(Member::is_v1) {
            return;
        }
        let everybody = self.in_order().into_iter();
        let list = v1::user_list(everybody.map(|member| (member.id, &member.name)));
        let frame = Frame::new(ParticipantId::ZERO, FrameType::UserListUpdate, &list);
        self.to_all(None, Member::is_v1, Class::Control, &frame, fx);
    }

    pub(super) fn chat_to_v1(
        &self,
        from: Option<Slot>,
        sender: ParticipantId,
        at_ms: u64,
        content: &ChatContent,
        original: Option<Frame>,
        fx: &mut Vec<Effect>,
    ) {
        if !self
            .slots()
            .any(|(slot, member)| Some(slot) != from && member.is_v1())
        {
            return;
        }
        let frame = original.unwrap_or_else(|| {
            let body = match content {
                ChatContent::Text(text) => ChatBody::Text(text),
                ChatContent::Image(image) => ChatBody::Image(&image.bytes),
            };
            Frame::new(sender, FrameType::ChatV1, &v1::chat(at_ms as f64, body))
        });
        self.to_all(from, Member::is_v1, Class::Control, &frame, fx);
    }

    fn on_share_chunk(&mut self, owner: Slot, frame: &Frame, fx: &mut Vec<Effect>) {
        let viewers: Vec<Slot> = self
            .slots()
            .map(|(slot, _)| slot)
            .filter(|slot| self.views(owner, *slot))
            .collect();
        let peers = self.v1_peers(owner);
        // Chunks of a share that a newer one replaced are dropped.
        let Some(share) = self.share.as_mut().filter(|share| share.owner == owner) else {
            return;
        };
        let cluster_at = share.on_chunk(frame);
        for slot in viewers {
            if let Some((frame, cluster_at)) = share.for_viewer(slot, frame, cluster_at) {
                fx.push(Effect::Send {
                    slot,
                    class: Class::V1Share { cluster_at },
                    frame,
                });
            }
        }
        for (viewer, edge) in peers {
            if let Some((frame, _)) = share.for_viewer(viewer, frame, cluster_at) {
                fx.push(Effect::ForwardV1 { edge, frame });
            }
        }
    }

    /// Gives an edge where somebody begins to view the share that is on here.
    pub(super) fn show_share_to(&mut self, viewer: Slot, edge: &EdgeId, fx: &mut Vec<Effect>) {
        let owner = self.share.as_ref().map(|share| share.owner);
        if !owner.is_some_and(|owner| self.at(owner).is_some_and(Member::is_here)) {
            return;
        }
        let frames = self.share.as_mut().map(|share| share.welcome(viewer));
        fx.extend(frames.into_iter().flatten().map(|frame| Effect::ForwardV1 {
            edge: edge.clone(),
            frame,
        }));
    }

    /// v1 members get what anybody sends of these types; others only what v1 members send.
    fn views(&self, sender: Slot, viewer: Slot) -> bool {
        let sender_is_v1 = self.at(sender).is_some_and(Member::is_v1);
        sender != viewer
            && self.at(viewer).is_some_and(|member| {
                member.connection.is_some()
                    && (member.is_v1() || (sender_is_v1 && member.v1_bridge))
            })
    }

    fn to_viewers(&self, sender: Slot, class: Class, frame: &Frame, fx: &mut Vec<Effect>) {
        for (slot, _) in self.slots() {
            if self.views(sender, slot) {
                fx.push(Effect::Send {
                    slot,
                    class,
                    frame: frame.clone(),
                });
            }
        }
        let peers = self.v1_peers(sender).into_iter();
        fx.extend(peers.map(|(_, edge)| Effect::ForwardV1 {
            edge,
            frame: frame.clone(),
        }));
    }

    /// The edges where somebody views what a member of this one sends of v1's types, each with the place
    /// under which a share knows it.
    fn v1_peers(&self, sender: Slot) -> Vec<(Slot, EdgeId)> {
        if self.at(sender).is_some_and(Member::is_here) {
            self.peers.that_view_v1().collect()
        } else {
            Vec::new()
        }
    }
}

/// START, STOP and init segments: they keep their order with the chunks.
const SHARE_EDGE: Class = Class::V1Share {
    cluster_at: Some(0),
};
