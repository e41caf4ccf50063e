//! Between a thread that packs or unpacks and the engine: a bounded channel as `Read` and `Write`.

use std::io::{self, Read, Write};

use agentkernel_control::{ByteStream, Error, Result};
use bytes::{Buf as _, Bytes, BytesMut};
use tokio::sync::mpsc;

const CHUNK: usize = 64 << 10;

/// Collects small writes, and blocks while the engine does not read.
pub struct ChannelWriter {
    sender: mpsc::Sender<Result<Bytes>>,
    buffer: BytesMut,
}

impl ChannelWriter {
    pub fn new(sender: mpsc::Sender<Result<Bytes>>) -> Self {
        Self {
            sender,
            buffer: BytesMut::with_capacity(CHUNK),
        }
    }
}

impl Write for ChannelWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(CHUNK - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..length]);
        if self.buffer.len() == CHUNK {
            self.flush()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.buffer, BytesMut::with_capacity(CHUNK)).freeze();
        self.sender
            .blocking_send(Ok(chunk))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Blocks while the engine has nothing. An error of the engine ends it, and is kept in `error`.
pub struct ChannelReader {
    stream: ByteStream,
    chunk: Bytes,
    pub error: Option<Error>,
}

impl ChannelReader {
    pub fn new(stream: ByteStream) -> Self {
        Self {
            stream,
            chunk: Bytes::new(),
            error: None,
        }
    }
}

impl Read for ChannelReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.stream.blocking_recv() {
                None => return Ok(0),
                Some(Ok(chunk)) => self.chunk = chunk,
                Some(Err(error)) => {
                    self.error = Some(error);
                    return Err(io::Error::other("the sandbox ended the copy"));
                }
            }
        }
        let length = buffer.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
