//! The one task of a connection: moves bytes between the socket and the streams.
//!
//! It never waits for one stream: each is asked in turn whether it can go on, and all leave their wakers.

mod receive;
mod streams;

use std::{
    collections::BTreeMap,
    pin::Pin,
    task::{Context, Poll, ready},
};

use agentkernel_backend::{Error, Result};
use agentkernel_protocol::{Boot, CONNECTION, Decoder, Hello, ToGuest, encode};
use agentkernel_types::ErrorKind;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{mpsc, oneshot, watch},
};

use crate::{
    failure::Lost,
    stream::{Answer, Opening, Stream},
};

/// From here on nothing that can wait is added to what is to be written.
const FULL: usize = 256 << 10;

pub trait Io: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Io for T {}

pub enum Command {
    Open {
        message: ToGuest,
        operation: &'static str,
        reply: oneshot::Sender<Result<Answer>>,
        opening: Opening,
    },
    /// On the connection itself.
    Connection(ToGuest),
}

#[derive(Clone, Debug)]
pub enum Progress {
    Greeting,
    Ready,
    Lost(Lost),
}

pub struct Driver {
    socket: Pin<Box<dyn Io>>,
    commands: Option<mpsc::Receiver<Command>>,
    progress: watch::Sender<Progress>,
    decoder: Decoder,
    out: Vec<u8>,
    written: usize,
    streams: BTreeMap<u32, Stream>,
    leftovers: Vec<streams::Leftover>,
    next: u32,
    has_greeted: bool,
    awaits_boot: bool,
    lost: Option<Lost>,
}

impl Driver {
    pub fn new(
        socket: Pin<Box<dyn Io>>,
        commands: mpsc::Receiver<Command>,
        progress: watch::Sender<Progress>,
        boot: Option<Boot>,
    ) -> Self {
        let mut driver = Self {
            socket,
            commands: Some(commands),
            progress,
            decoder: Decoder::new(),
            out: Vec::new(),
            written: 0,
            streams: BTreeMap::new(),
            leftovers: Vec::new(),
            next: 1,
            has_greeted: false,
            awaits_boot: boot.is_some(),
            lost: None,
        };
        let hello = Hello::new(concat!("agentkernel ", env!("CARGO_PKG_VERSION")));
        let mut greeted = driver.send(CONNECTION, &ToGuest::Hello(hello));
        if let Some(boot) = boot {
            greeted = greeted && driver.send(CONNECTION, &ToGuest::Boot(boot));
        }
        if !greeted {
            driver.lose(Lost::broken(
                "the environment of the sandbox is too large for one message",
            ));
        }
        driver
    }

    /// False: it is larger than the protocol allows.
    fn send(&mut self, stream: u32, message: &ToGuest) -> bool {
        encode(stream, message, &mut self.out).is_ok()
    }

    fn is_full(&self) -> bool {
        self.out.len() - self.written >= FULL
    }

    /// True: something was taken.
    fn take_commands(&mut self, cx: &mut Context<'_>) -> bool {
        let mut has_progress = false;
        while !self.is_full()
            && let Some(commands) = &mut self.commands
        {
            match commands.poll_recv(cx) {
                Poll::Pending => break,
                Poll::Ready(None) => self.commands = None,
                Poll::Ready(Some(command)) => self.begin(command),
            }
            has_progress = true;
        }
        has_progress
    }

    fn begin(&mut self, command: Command) {
        match command {
            Command::Connection(message) => {
                self.send(CONNECTION, &message);
            }
            Command::Open {
                message,
                operation,
                reply,
                opening,
            } => {
                if let Some(lost) = &self.lost {
                    let _ = reply.send(Err(lost.to_error(operation)));
                    return;
                }
                if reply.is_closed() {
                    return;
                }
                let number = self.free_number();
                let mut stream = Stream::new(operation, reply, opening);
                if self.send(number, &message) {
                    self.streams.insert(number, stream);
                } else {
                    let text = "the request is larger than 1 MiB: shorten the arguments or the environment";
                    stream.answer(Err(Error::new(ErrorKind::InvalidSpec, operation, text)));
                }
            }
        }
    }

    fn free_number(&mut self) -> u32 {
        while self.next == CONNECTION || self.streams.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        number
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        while self.written < self.out.len() {
            match ready!(self.socket.as_mut().poll_write(cx, &self.out[self.written..])) {
                Ok(length) if length > 0 => self.written += length,
                // What the agent has said before it went may still be read.
                _ => return Poll::Ready(Err(Lost::closed())),
            }
        }
        self.out.clear();
        self.out.shrink_to(FULL);
        self.written = 0;
        ready!(self.socket.as_mut().poll_flush(cx)).map_err(|_| Lost::closed())?;
        Poll::Ready(Ok(()))
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        let mut buffer = ReadBuf::new(self.decoder.space());
        match ready!(self.socket.as_mut().poll_read(cx, &mut buffer)) {
            Ok(()) if !buffer.filled().is_empty() => {
                let length = buffer.filled().len();
                self.decoder.advance(length);
                Poll::Ready(self.receive())
            }
            _ => Poll::Ready(Err(Lost::closed())),
        }
    }

    /// True: something has moved.
    fn exchange(&mut self, cx: &mut Context<'_>) -> Result<bool, Lost> {
        let mut has_progress = self.take_commands(cx);
        has_progress |= self.poll_streams(cx);
        let had_output = self.written < self.out.len();
        if let Poll::Ready(Err(lost)) = self.write(cx) {
            // Its last words come first.
            while let Poll::Ready(Ok(())) = self.read(cx) {}
            return Err(lost);
        }
        has_progress |= had_output && self.out.is_empty();
        if let Poll::Ready(result) = self.read(cx) {
            result?;
            has_progress = true;
        }
        Ok(has_progress)
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = &mut *self;
        while driver.lost.is_none() {
            match driver.exchange(cx) {
                Ok(true) => {}
                Ok(false) => {
                    let is_unused =
                        driver.commands.is_none() && driver.streams.is_empty() && driver.leftovers.is_empty();
                    return if is_unused && driver.out.is_empty() {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    };
                }
                Err(lost) => driver.lose(lost),
            }
        }
        // Only what has come already is still handed out.
        driver.take_commands(cx);
        driver.poll_streams(cx);
        if driver.leftovers.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}
