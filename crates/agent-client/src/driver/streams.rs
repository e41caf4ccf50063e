//! The callers' side of all streams: what they send goes out, what has come is handed to them.

use std::task::{Context, Poll};

use agentkernel_backend::Output;
use agentkernel_protocol::ToGuest;
use bytes::Bytes;

use super::Driver;
use crate::stream::{Content, Kind, Outlet, Stream};

/// Output of a stream that has ended, for a reader that has not taken it yet.
pub enum Leftover {
    Output(Outlet<Output>),
    Content(Outlet<Bytes>),
}

impl From<Outlet<Output>> for Leftover {
    fn from(outlet: Outlet<Output>) -> Self {
        Self::Output(outlet)
    }
}

impl From<Outlet<Bytes>> for Leftover {
    fn from(outlet: Outlet<Bytes>) -> Self {
        Self::Content(outlet)
    }
}

impl Leftover {
    /// True: nothing is left, or nobody who wants it.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        match self {
            Self::Output(outlet) => outlet.poll(cx).reader_is_gone || outlet.is_empty(),
            Self::Content(outlet) => outlet.poll(cx).reader_is_gone || outlet.is_empty(),
        }
    }
}

impl Driver {
    /// True: something has moved.
    pub(super) fn poll_streams(&mut self, cx: &mut Context<'_>) -> bool {
        self.leftovers.retain_mut(|leftover| !leftover.poll(cx));
        let mut streams = std::mem::take(&mut self.streams);
        let before = self.out.len();
        for (&number, stream) in &mut streams {
            if !stream.is_cancelled {
                self.poll_stream(number, stream, cx);
            }
        }
        self.streams = streams;
        self.out.len() != before
    }

    fn poll_stream(&mut self, number: u32, stream: &mut Stream, cx: &mut Context<'_>) {
        let mut is_abandoned = stream
            .reply
            .as_mut()
            .is_some_and(|reply| reply.poll_closed(cx).is_ready());
        let flowed = match &mut stream.kind {
            Kind::Command { output, .. } => Some(output.poll(cx)),
            Kind::Read { content } => Some(content.poll(cx)),
            _ => None,
        };
        if let Some(flowed) = flowed {
            is_abandoned |= flowed.reader_is_gone;
            if let Some(grant) = stream.window.give_back(flowed.length) {
                self.send(number, &grant);
            }
        }
        // A detached command was asked to go on without its caller.
        if is_abandoned && !matches!(stream.kind, Kind::Detached { .. }) {
            return self.cancel(number, stream);
        }
        match &stream.kind {
            Kind::Command { .. } => self.poll_input(number, stream, cx),
            Kind::Write { .. } => self.poll_content(number, stream, cx),
            _ => {}
        }
    }

    fn cancel(&mut self, number: u32, stream: &mut Stream) {
        stream.cancel();
        self.send(number, &ToGuest::Cancel);
    }

    fn poll_input(&mut self, number: u32, stream: &mut Stream, cx: &mut Context<'_>) {
        while !self.is_full()
            && let Kind::Command { input, .. } = &mut stream.kind
            && let Poll::Ready(Some(content)) = input.poll(cx)
        {
            match content {
                Content::Bytes(bytes) => self.send_bytes(number, ToGuest::Stdin(bytes.to_vec().into())),
                Content::End => self.send_bytes(number, ToGuest::CloseStdin),
                Content::Message(message) => self.send_bytes(number, message),
                Content::Failed(_) => {}
            }
        }
    }

    fn poll_content(&mut self, number: u32, stream: &mut Stream, cx: &mut Context<'_>) {
        while !self.is_full()
            && let Kind::Write {
                content,
                is_complete: false,
            } = &mut stream.kind
            && let Poll::Ready(item) = content.poll(cx)
        {
            match item {
                Some(Content::Bytes(bytes)) => {
                    self.send_bytes(number, ToGuest::FileData(bytes.to_vec().into()))
                }
                Some(Content::Failed(error)) => {
                    stream.answer(Err(error));
                    return self.cancel(number, stream);
                }
                Some(Content::Message(_)) => {}
                Some(Content::End) | None => {
                    self.send_bytes(number, ToGuest::FileEnd);
                    if let Kind::Write { is_complete, .. } = &mut stream.kind {
                        *is_complete = true;
                    }
                }
            }
        }
    }

    fn send_bytes(&mut self, number: u32, message: ToGuest) {
        let is_sent = self.send(number, &message);
        debug_assert!(is_sent, "a chunk is far below the largest frame");
    }
}

impl Stream {
    /// The callers' ends are dropped.
    pub(super) fn cancel(&mut self) {
        self.is_cancelled = true;
        self.reply = None;
        self.kind = Kind::Nothing;
    }
}
