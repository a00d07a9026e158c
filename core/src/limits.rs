//! Every bound and time of core and of the QUIC between servers, with its arithmetic. What the wire
//! bounds is in `pulse_proto`.

use std::time::Duration;

/// Handshakes that may be going on at one endpoint; who comes beyond is refused by the library.
pub(crate) const MAX_INCOMING: usize = 1_024;

/// Above so many, an address must first show that it receives what is sent to it (Retry): forged
/// addresses then cost one packet each.
pub(crate) const RETRY_ABOVE: usize = 256;

/// Bytes that one handshake, and all together, may have waiting before they are looked at.
pub(crate) const INCOMING_BYTES: u64 = 64 * 1_024;
/// All together.
pub(crate) const INCOMING_BYTES_ALL: u64 = 8 * 1_024 * 1_024;

/// UDP payload that every path of today's internet carries; larger ones are not tried, so that a path
/// that loses large packets only is met by nobody.
pub(crate) const MTU: u16 = 1_200;

/// A connection id of an endpoint: it only has to tell its own connections apart. With 5 bytes an
/// encrypted packet costs 1 + 5 + 4 + 16 and a datagram in it 9 more: 1,200 − 35 = 1,165 are left, and
/// 1,162 are promised.
pub(crate) const CONNECTION_ID: usize = 5;

/// What a peer may have under way on the streams of one connection: 2 MiB is 80 Mbit/s at 200 ms.
pub(crate) const RECEIVE_WINDOW: u32 = 2 * 1_024 * 1_024;

/// Streams that a peer may have open at once, unless a link's owner asks for more.
pub(crate) const STREAMS: u32 = 8;

/// Datagrams that arrived and wait to be read: 512 of the largest are 100 ms at 47 Mbit/s. The library
/// drops the oldest.
pub(crate) const DATAGRAM_RECEIVE_BYTES: usize = 512 * 1_162;

/// Datagrams that wait in the library: a burst of eight. What waits longer waits where it can still be
/// passed by a voice. The library drops the oldest.
pub(crate) const DATAGRAM_SEND_BYTES: usize = 8 * 1_162;

/// A peer that is silent for so long is gone. Four keep-alives may be lost.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a silent connection is heard of.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// Packets that a peer receives before it acknowledges: each acknowledgement is 45 bytes on the wire, and wakes
/// both ends. On a link of 3,000 packets a second it is one each 20 ms; on most links the delay below comes first.
pub(crate) const ACK_EVERY: u32 = 64;
/// How long it waits with it at most.
pub(crate) const ACK_DELAY: Duration = Duration::from_millis(25);

/// Kernel buffers of a UDP socket, where the kernel grants them: 100 ms at 300 Mbit/s.
pub(crate) const UDP_BUFFER: usize = 4 * 1_024 * 1_024;

/// How often the files of certificates are looked at for others.
pub(crate) const CREDENTIALS_POLL: Duration = Duration::from_secs(10);

/// How often an edge says that it is alive.
pub(crate) const HEARTBEAT: Duration = Duration::from_millis(500);

/// How long an edge that is silent counts as alive: six heartbeats, of which five may be late by a lost
/// packet each. Who dies is gone for others after this and the delay of a message, well within 4 s, for
/// by then their links to it have been silent for longer than a link may be.
pub(crate) const LEASE: Duration = Duration::from_secs(3);

/// How long a new core collects at least: edges find it within their longest pause between two tries.
pub(crate) const COLLECT_MIN: Duration = Duration::from_secs(1);

/// How late its timer may be before core holds its own process, not the edges, to have stood still.
pub(crate) const STALL: Duration = Duration::from_secs(1);

/// How long a core that hears of nobody remembers who was where.
pub(crate) const FORGET: Duration = Duration::from_secs(60);

/// How often the list of edges is told for their loads alone: 1,000 edges and 330 KB are 66 MB/s then,
/// of a core that has as many.
pub(crate) const LIST_INTERVAL: Duration = Duration::from_secs(5);

/// Rooms at once: with ten rows of 200 bytes and some chat, 1 GB.
pub(crate) const MAX_ROOMS: usize = 100_000;

/// Chats of a room that core remembers, for edges that lost some on the way and to know those that are
/// posted again.
pub(crate) const CHATS_KEPT: usize = 128;
/// And their bytes: 32 of the longest.
pub(crate) const CHAT_BYTES_KEPT: usize = 512 * 1_024;

/// Chats that may wait for a new core to say anything.
pub(crate) const CHATS_WAITING: usize = 4_096;

/// What an edge may tell core that core has not read: an edge with 4,000 rooms declares all of them at
/// once. Beyond it rooms hear that core is busy, and declare again.
pub(crate) const CORE_INBOX: usize = 4_096;
/// What core may say that an edge has not read. Views beyond are dropped, counted, and come again.
pub(crate) const CORE_EVENTS: usize = 4_096;

/// Messages that are written to a stream, or taken from a queue, at once.
pub(crate) const STREAM_BATCH: usize = 64;

/// Bytes that are read from a stream at once.
pub(crate) const READ_CHUNK: usize = 64 * 1_024;

/// How long the other side may take nothing of what is written to it: longer than a lease, for the
/// connection itself notices who is gone; this is for who is there and does not read.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long dialling, and the first message, may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long an edge waits before it dials core again, first and at last; half of it is by chance. A third
/// of a lease at most, so that a new core hears of every edge while it collects.
pub(crate) const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// At last.
pub(crate) const BACKOFF_LAST: Duration = Duration::from_secs(1);
/// And where only an operator can help.
pub(crate) const BACKOFF_REFUSED: Duration = Duration::from_secs(5);

/// What edges have said that the owner of the membership has not read; beyond it each edge's own
/// connection holds up, and no other.
pub(crate) const OWNER_INBOX: usize = 4_096;

/// Messages that wait for an edge and cannot be replaced by later ones: chats, for the most part. At 100 a
/// second 20 s, which is longer than a lease.
pub(crate) const OUTBOX_MESSAGES: usize = 2_048;

/// How long the other side may take to read why a connection ends, and close it.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Connections for HTTP at once: operators, scrapers, and pages that ask once.
pub(crate) const MAX_HTTP_CONNECTIONS: usize = 1_024;
/// How long a request's head may take, and a connection stay idle.
pub(crate) const HTTP_HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long accepting rests when descriptors have run out.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a core that stops waits for its edges to hear of it.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(2);
