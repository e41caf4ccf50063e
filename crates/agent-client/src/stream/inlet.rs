//! What a caller sends, held back until the agent grants it.

use std::{
    collections::VecDeque,
    task::{Context, Poll},
};

use agentkernel_backend::{Error, Input, ProcessInput, Result};
use agentkernel_protocol::{MAX_CHUNK, ToGuest, WINDOW};
use bytes::Bytes;
use tokio::sync::mpsc::Receiver;

/// What becomes of one item of a caller.
pub enum Content {
    /// Under credit.
    Bytes(Bytes),
    /// Nothing follows: said when all bytes have gone.
    End,
    /// At once, before the bytes that wait.
    Message(ToGuest),
    Failed(Error),
}

impl From<Input> for Content {
    fn from(input: Input) -> Self {
        match input {
            Input::Stdin(bytes) => Self::Bytes(bytes),
            Input::CloseStdin => Self::End,
            Input::Signal(signal) => Self::Message(ToGuest::Signal(signal.number())),
            Input::Resize(size) => Self::Message(ToGuest::Resize {
                rows: size.rows,
                columns: size.columns,
            }),
        }
    }
}

impl From<Result<Bytes>> for Content {
    fn from(content: Result<Bytes>) -> Self {
        content.map_or_else(Self::Failed, Self::Bytes)
    }
}

/// Where a caller's items come from.
pub trait Supply {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Content>>;

    /// What may pass the bytes that wait, if there is such a thing. `Ready(None)`: never again.
    fn poll_urgent(&mut self, cx: &mut Context<'_>) -> Poll<Option<Content>>;
}

impl Supply for Receiver<Result<Bytes>> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Content>> {
        self.poll_recv(cx).map(|item| item.map(Into::into))
    }

    fn poll_urgent(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Content>> {
        Poll::Ready(None)
    }
}

impl Supply for ProcessInput {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Content>> {
        self.poll_recv(cx).map(|item| item.map(Into::into))
    }

    fn poll_urgent(&mut self, cx: &mut Context<'_>) -> Poll<Option<Content>> {
        ProcessInput::poll_urgent(self, cx).map(|item| item.map(Into::into))
    }
}

pub struct Inlet<S> {
    supply: S,
    waiting: VecDeque<Bytes>,
    /// Bytes in `waiting`.
    held: usize,
    credit: u32,
    is_at_end: bool,
}

impl<S: Supply> Inlet<S> {
    pub fn new(supply: S) -> Self {
        Self {
            supply,
            waiting: VecDeque::new(),
            held: 0,
            credit: WINDOW,
            is_at_end: false,
        }
    }

    pub fn grant(&mut self, credit: u32) {
        self.credit = self.credit.saturating_add(credit);
    }

    /// The next thing to send. `Ready(None)`: the caller has dropped its end, and all of it has been sent.
    ///
    /// Without credit it goes on taking items up to a window: then the caller waits, but not with what is urgent.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Content>> {
        if let Poll::Ready(Some(content)) = self.supply.poll_urgent(cx) {
            return Poll::Ready(Some(content));
        }
        loop {
            if let Some(piece) = self.next_piece() {
                return Poll::Ready(Some(Content::Bytes(piece)));
            }
            if self.is_at_end && self.waiting.is_empty() {
                self.is_at_end = false;
                return Poll::Ready(Some(Content::End));
            }
            if self.held >= WINDOW as usize {
                return Poll::Pending;
            }
            match self.supply.poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) if self.waiting.is_empty() => return Poll::Ready(None),
                // What waits is sent when credit comes.
                Poll::Ready(None) => return Poll::Pending,
                Poll::Ready(Some(content)) => match content {
                    Content::Bytes(bytes) if bytes.is_empty() => {}
                    Content::Bytes(bytes) => {
                        self.held += bytes.len();
                        self.waiting.push_back(bytes);
                    }
                    Content::End => self.is_at_end = true,
                    other => return Poll::Ready(Some(other)),
                },
            }
        }
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        if self.credit == 0 {
            return None;
        }
        let first = self.waiting.front_mut()?;
        let length = first.len().min(MAX_CHUNK).min(self.credit as usize);
        let piece = first.split_to(length);
        if first.is_empty() {
            self.waiting.pop_front();
        }
        self.credit -= length as u32;
        self.held -= length;
        Some(piece)
    }
}
