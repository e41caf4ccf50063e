//! Byte streams of the engine, from stdin and to stdout.

use std::os::fd::BorrowedFd;

use agentkernel_control::{ByteStream, Error};
use agentkernel_types::ErrorKind;
use tokio::sync::mpsc;

use crate::{
    failure::Failure,
    streams::{Direction, Endpoint, Stdio},
};

/// Chunks on the way: enough that neither side waits for each single one.
pub const DEPTH: usize = 8;

pub async fn copy(mut stream: ByteStream, to: BorrowedFd<'_>) -> Result<(), Failure> {
    let output = Endpoint::open(to, Direction::Write).map_err(Failure::output)?;
    while let Some(bytes) = stream.recv().await {
        output.write_all(&bytes?).await.map_err(Failure::output)?;
    }
    Ok(())
}

/// Reads stdin to its end while the engine takes it. Must be called within a runtime.
pub fn from_stdin() -> Result<ByteStream, Failure> {
    let stdin = Endpoint::open(Stdio::inherited().stdin, Direction::Read)
        .map_err(|error| Failure::io("read", "cannot read stdin", error))?;
    let (sender, receiver) = mpsc::channel(DEPTH);
    tokio::spawn(async move {
        loop {
            let chunk = match stdin.read().await {
                Ok(bytes) if bytes.is_empty() => return,
                Ok(bytes) => Ok(bytes),
                Err(error) => Err(Error::new(ErrorKind::Broken, "read", "cannot read stdin").because(error)),
            };
            let last = chunk.is_err();
            if sender.send(chunk).await.is_err() || last {
                return;
            }
        }
    });
    Ok(receiver)
}
