//! The library's settings, by hand: its defaults suit downloads.

use std::sync::Arc;

use quinn::{AckFrequencyConfig, TransportConfig, VarInt, congestion::CubicConfig};

use super::{congestion::OutOfTheWay, error::BindError};
use crate::limits::{
    ACK_DELAY, ACK_EVERY, DATAGRAM_RECEIVE_BYTES, DATAGRAM_SEND_BYTES, IDLE_TIMEOUT, KEEP_ALIVE,
    MTU, RECEIVE_WINDOW, STREAMS,
};

/// Who decides how much may be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Congestion {
    /// The library, by CUBIC: for streams that nobody else paces.
    Library,
    /// Whoever sends: the library sends at once what it is given.
    Sender,
}

/// What differs between the uses of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Bidirectional streams that the peer may have open.
    pub bi_streams: u32,
    /// Unidirectional streams that the peer may have open.
    pub uni_streams: u32,
    /// Bytes of datagrams that may wait in the library before they leave.
    pub datagram_send_bytes: usize,
    /// Bytes of datagrams that may wait in the library before they are read.
    pub datagram_receive_bytes: usize,
    /// Who decides how much may be under way.
    pub congestion: Congestion,
}

impl Transport {
    /// For control alone: few streams, CUBIC.
    pub const fn control() -> Self {
        Self {
            bi_streams: STREAMS,
            uni_streams: STREAMS,
            datagram_send_bytes: DATAGRAM_SEND_BYTES,
            datagram_receive_bytes: DATAGRAM_RECEIVE_BYTES,
            congestion: Congestion::Library,
        }
    }

    /// For media between edges: so many unidirectional streams, and the sender's own pace.
    pub const fn media(uni_streams: u32) -> Self {
        Self {
            uni_streams,
            congestion: Congestion::Sender,
            ..Self::control()
        }
    }

    pub(super) fn config(&self) -> Result<Arc<TransportConfig>, BindError> {
        let idle = IDLE_TIMEOUT
            .try_into()
            .map_err(|_| BindError::Settings("the idle timeout is too long".to_owned()))?;
        let mut config = TransportConfig::default();
        config
            .max_concurrent_bidi_streams(VarInt::from_u32(self.bi_streams))
            .max_concurrent_uni_streams(VarInt::from_u32(self.uni_streams))
            .max_idle_timeout(Some(idle))
            .keep_alive_interval(Some(KEEP_ALIVE))
            .stream_receive_window(VarInt::from_u32(RECEIVE_WINDOW))
            .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
            .send_window(u64::from(RECEIVE_WINDOW))
            .initial_mtu(MTU)
            .min_mtu(MTU)
            .mtu_discovery_config(None)
            .datagram_receive_buffer_size(Some(self.datagram_receive_bytes))
            .datagram_send_buffer_size(self.datagram_send_bytes);
        let mut acks = AckFrequencyConfig::default();
        acks.ack_eliciting_threshold(VarInt::from_u32(ACK_EVERY))
            .max_ack_delay(Some(ACK_DELAY));
        config.ack_frequency_config(Some(acks));
        match self.congestion {
            Congestion::Library => {
                config.congestion_controller_factory(Arc::new(CubicConfig::default()))
            }
            Congestion::Sender => config.congestion_controller_factory(Arc::new(OutOfTheWay)),
        };
        Ok(Arc::new(config))
    }
}
