//! A TUN device: what a host sends can be read here, what is written here the host receives. Never
//! waits. The device is gone when this is.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use crate::limits::{DEVICE_QUEUE_PACKETS, MAX_PACKET_BYTES};

/// One device.
pub(crate) struct Tun {
    device: SyncDevice,
}

impl Tun {
    /// Makes a device, switched off, in the namespace of the caller.
    pub(crate) fn create(name: &str) -> io::Result<Self> {
        let device = DeviceBuilder::new()
            .name(name)
            .layer(Layer::L3)
            .mtu(MAX_PACKET_BYTES as u16)
            .tx_queue_len(DEVICE_QUEUE_PACKETS)
            .packet_information(false)
            .enable(false)
            .build_sync()?;
        device.set_nonblocking(true)?;
        Ok(Self { device })
    }

    /// The next packet that the host sends, or `WouldBlock`.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.device.recv(buffer)
    }

    /// Hands the host a packet.
    pub(crate) fn send(&self, packet: &[u8]) -> io::Result<usize> {
        self.device.send(packet)
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}
