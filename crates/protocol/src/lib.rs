//! The wire between host and guest agent.
//!
//! One byte stream (unix socket, vsock, virtio-serial) carries frames: a little-endian `u32` length of
//! what follows, a little-endian `u32` stream number, then one message in postcard. Many streams share a
//! connection; each is one command or one file operation. Stream 0 is the connection itself.
//!
//! Bytes that flow in bulk are under credit: the receiver grants what it can hold, so that one slow
//! reader never stops another stream, and no side buffers without a bound.
//!
//! Neither side trusts the other: every length is bounded before memory is taken, and a message that
//! cannot be decoded ends the connection.

mod bounded;
mod codec;
mod hello;
mod message;

/// The bytes of paths, arguments and data.
pub use serde_bytes::ByteBuf;

pub use bounded::{MAX_ENTRIES, MAX_STRINGS};
pub use codec::{Decoder, FrameError, data, encode, encode_in_place};
pub use hello::{HelloError, negotiate};
pub use message::{
    Boot, DirectoryEntry, EntryKind, ExecRequest, ExitReport, FailureKind, FileRequest, Hello, StatsReport,
    ToGuest, ToHost,
};

/// The generation of the messages in this crate. It grows with every change of the frozen schema.
pub const GENERATION: u32 = 1;
/// The oldest generation that this side still speaks.
pub const OLDEST_GENERATION: u32 = 1;
/// First field of the first message in both directions: tells a foreign peer at once.
pub const MAGIC: u32 = 0x4b4e_4741; // "AGNK" in little-endian

/// The largest frame, without its length field.
pub const MAX_FRAME: usize = 1 << 20;
/// The largest piece of bulk data in one message.
pub const MAX_CHUNK: usize = 64 << 10;
/// What a receiver holds for one direction of one stream, and so the credit at its start.
pub const WINDOW: u32 = 256 << 10;
/// Connections that an agent serves at once.
pub const MAX_CONNECTIONS: usize = 128;
/// Streams that one connection may have open at once.
pub const MAX_STREAMS: usize = 256;
/// Stream number of the connection itself.
pub const CONNECTION: u32 = 0;

/// Descriptors that a host passes to an agent that it starts as a process (not in a virtual machine).
pub mod descriptor {
    /// A connected stream socket: the owner's connection, on which `Boot` comes.
    pub const OWNER: i32 = 3;
    /// A listening unix socket for further connections, if `Boot::listen`.
    pub const LISTENER: i32 = 4;
    /// A folder for the output of detached commands, if `Boot::keep_logs`.
    pub const LOGS: i32 = 5;
}

/// The most that is kept of one stream of one detached command, in bytes.
pub const MAX_LOG: u64 = 16 << 20;
