//! Bytes for a reader that may be slow: queued up to the window, never waited for.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use agentkernel_backend::{Error, Output, Result};
use agentkernel_protocol::MAX_CHUNK;
use bytes::Bytes;
use tokio::sync::mpsc::{Sender, error::SendError, error::TrySendError};

type Reserve<T> = dyn Future<Output = Result<tokio::sync::mpsc::OwnedPermit<T>, SendError<()>>> + Send;

/// From so many waiting pieces on, new bytes join an older piece of their kind.
const PIECES: usize = 512;

/// What an outlet carries.
pub trait Item: Clone + Send + 'static {
    /// The bytes in it, which are under credit.
    fn length(&self) -> usize;
    /// Takes the bytes of `other` if they are of the same kind.
    fn join(&mut self, other: &Self) -> bool;
}

impl Item for Bytes {
    fn length(&self) -> usize {
        self.len()
    }

    fn join(&mut self, other: &Self) -> bool {
        if self.len() + other.len() > MAX_CHUNK {
            return false;
        }
        *self = Bytes::from([&self[..], other].concat());
        true
    }
}

impl Item for Output {
    fn length(&self) -> usize {
        match self {
            Self::Stdout(bytes) | Self::Stderr(bytes) => bytes.len(),
            Self::Stopped | Self::Exit(_) => 0,
        }
    }

    fn join(&mut self, other: &Self) -> bool {
        match (self, other) {
            (Self::Stdout(bytes), Self::Stdout(more)) | (Self::Stderr(bytes), Self::Stderr(more)) => {
                bytes.join(more)
            }
            (Self::Stopped, Self::Stopped) => true,
            _ => false,
        }
    }
}

pub struct Outlet<T: Item> {
    sender: Sender<Result<T>>,
    queue: VecDeque<Result<T>>,
    /// Waits for room in the channel.
    reserve: Option<Pin<Box<Reserve<Result<T>>>>>,
    /// Ends when the reader has gone.
    closed: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// How far an outlet came.
pub struct Flowed {
    /// Bytes that the reader's channel has taken.
    pub length: usize,
    pub reader_is_gone: bool,
}

impl<T: Item> Outlet<T> {
    pub fn new(sender: Sender<Result<T>>) -> Self {
        let watched = sender.clone();
        let closed = Box::pin(async move { watched.closed().await });
        Self {
            sender,
            queue: VecDeque::new(),
            reserve: None,
            closed,
        }
    }

    /// Many small pieces would cost much more memory than their bytes: then they are joined, and what stdout and
    /// stderr wrote by turns is told in fewer turns. Each of them stays in order.
    pub fn push(&mut self, item: T) {
        let reach = if self.queue.len() < PIECES { 0 } else { 4 };
        for waiting in self.queue.iter_mut().rev().take(reach).flatten() {
            if waiting.join(&item) {
                return;
            }
        }
        self.queue.push_back(Ok(item));
    }

    pub fn fail(&mut self, error: Error) {
        self.queue.push_back(Err(error));
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn poll(&mut self, cx: &mut Context<'_>) -> Flowed {
        let mut length = 0;
        while let Some(item) = self.queue.pop_front() {
            let size = item.as_ref().map_or(0, Item::length);
            match self.offer(item, cx) {
                Ok(()) => length += size,
                Err(Some(item)) => {
                    self.queue.push_front(item);
                    break;
                }
                Err(None) => {
                    return Flowed {
                        length,
                        reader_is_gone: true,
                    };
                }
            }
        }
        Flowed {
            length,
            reader_is_gone: self.closed.as_mut().poll(cx).is_ready(),
        }
    }

    /// `Err` gives the item back if there is no room for it now, and nothing if there never will be.
    fn offer(&mut self, item: Result<T>, cx: &mut Context<'_>) -> Result<(), Option<Result<T>>> {
        let item = match self.reserve {
            None => match self.sender.try_send(item) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Closed(_)) => return Err(None),
                Err(TrySendError::Full(item)) => item,
            },
            Some(_) => item,
        };
        let sender = &self.sender;
        let reserve = self
            .reserve
            .get_or_insert_with(|| Box::pin(sender.clone().reserve_owned()));
        match reserve.as_mut().poll(cx) {
            Poll::Pending => Err(Some(item)),
            Poll::Ready(permit) => {
                self.reserve = None;
                permit.map(|permit| drop(permit.send(item))).map_err(|_| None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_small_pieces_takes_no_more_memory_than_its_bytes() {
        let (sender, _receiver) = tokio::sync::mpsc::channel(1);
        let mut outlet = Outlet::new(sender);
        for turn in 0..100_000 {
            let byte = Bytes::from_static(b"x");
            outlet.push(if turn % 2 == 0 {
                Output::Stdout(byte)
            } else {
                Output::Stderr(byte)
            });
            outlet.push(Output::Stopped);
        }
        assert!(outlet.queue.len() < 600, "{}", outlet.queue.len());
        let bytes: usize = outlet.queue.iter().flatten().map(Item::length).sum();
        assert_eq!(bytes, 100_000);
    }
}
