//! What a participant says about itself. PROTOCOL.md 4.11.

use serde::{Deserialize, Serialize};

use super::{Control, bad_json, given};
use crate::{code::Rejection, frame::FrameType};

/// How good a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// Nothing is missing.
    Excellent,
    /// Little is.
    Good,
    /// It can be heard and seen.
    Poor,
    /// Nothing comes through.
    Lost,
}

/// 4.11 UPDATE: at least one field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Whether the hand is up.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub hand: Option<bool>,
    /// How good the connection is.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub quality: Option<Quality>,
}

impl Control for Update {
    const KIND: FrameType = FrameType::Update;

    fn check(&self) -> Result<(), Rejection> {
        if *self == Self::default() {
            return Err(bad_json("an update says something"));
        }
        Ok(())
    }
}
