//! What members say about themselves.

use pulse_proto::control::Update;

use super::{Effect, MemberRef, State};

impl State {
    /// Keeps what has changed, and tells everybody if anything has.
    pub(super) fn on_update(
        &mut self,
        from: MemberRef,
        at_ms: u64,
        update: Update,
        fx: &mut Vec<Effect>,
    ) {
        // Clocks step back, and two hands go up in one millisecond: their order stays.
        let raised = at_ms.max(self.last_hand.saturating_add(1));
        let Some(member) = self.member_mut(from) else {
            return;
        };
        let before = (member.hand, member.quality);
        match update.hand {
            Some(true) => {
                member.hand.get_or_insert(raised);
            }
            Some(false) => member.hand = None,
            None => {}
        }
        member.quality = update.quality.or(member.quality);
        let after = (member.hand, member.quality);
        if before == after {
            return;
        }
        if after.0 == Some(raised) {
            self.last_hand = raised;
        }
        self.tell_updated(from.slot, fx);
    }
}
