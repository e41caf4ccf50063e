//! Carries the bytes of one connection: from the sandbox through its guard to the far end, and back.
//!
//! No byte is held that its receiver has not made room for: a slow reader closes the other side's window.

use std::{
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use smoltcp::socket::tcp::State;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use super::flow::Flow;
use crate::{
    dial::Connection,
    events::Attempt,
    inspect::{FlowGuard, Refusal},
    plane::Plane,
};

/// Rounds of copying before other flows have their turn.
const ROUNDS: usize = 8;
/// Bytes that are given to the guard at once.
const MOUTHFUL: usize = 64 * 1024;

pub(super) struct Relay {
    plane: Rc<Plane>,
    flow: Rc<Flow>,
    stream: Box<dyn Connection>,
    /// What the guard let through and the far end has not taken yet.
    passed: Vec<u8>,
    taken: usize,
    /// The sandbox sends no more, and the far end was told.
    sent_all: bool,
    /// The far end sends no more, and the sandbox was told.
    received_all: bool,
    timer: Pin<Box<Sleep>>,
}

/// Why the bytes stop before their end.
enum Broken {
    /// The far end broke off: the sandbox sees a reset.
    Outside,
    Refused(Refusal),
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self::Outside
    }
}

impl Relay {
    pub fn new(plane: Rc<Plane>, flow: Rc<Flow>, stream: Box<dyn Connection>) -> Self {
        Self {
            plane,
            flow,
            stream,
            passed: Vec::new(),
            taken: 0,
            sent_all: false,
            received_all: false,
            timer: Box::pin(sleep(Duration::ZERO)),
        }
    }

    /// One round in both directions. Returns whether a byte moved or an end was seen.
    fn round(&mut self, context: &mut Context<'_>) -> Result<bool, Broken> {
        let mut moved = false;
        if !self.sent_all {
            moved |= self.outward(context)?;
        }
        if !self.received_all {
            moved |= self.inward(context)?;
        }
        Ok(moved)
    }

    fn outward(&mut self, context: &mut Context<'_>) -> Result<bool, Broken> {
        let mut moved = false;
        let free = self
            .flow
            .guard
            .borrow()
            .as_ref()
            .is_none_or(FlowGuard::is_transparent);
        if free && self.passed.is_empty() {
            moved |= self.send_directly(context)?;
        } else {
            moved |= self.send_guarded(context)?;
        }
        if self.passed.is_empty() && self.inside_is_finished() {
            moved |= self.finish(context)?;
        }
        Ok(moved)
    }

    fn send_directly(&mut self, context: &mut Context<'_>) -> Result<bool, Broken> {
        let stream = &mut self.stream;
        let written = self.flow.with(|machine| {
            let socket = machine.socket();
            if !socket.can_recv() {
                return Ok(0);
            }
            let result = socket.recv(|bytes| match Pin::new(stream).poll_write(context, bytes) {
                Poll::Ready(Ok(count)) => (count, Ok(count)),
                Poll::Ready(Err(error)) => (0, Err(error)),
                Poll::Pending => (0, Ok(0)),
            });
            result.unwrap_or(Ok(0))
        });
        let written = written.unwrap_or(Ok(0))?;
        self.flow.sent.set(self.flow.sent.get() + written as u64);
        Ok(written > 0)
    }

    fn send_guarded(&mut self, context: &mut Context<'_>) -> Result<bool, Broken> {
        let mut moved = self.flush(context)?;
        if !self.passed.is_empty() {
            return Ok(moved);
        }
        let passed = &mut self.passed;
        let judged = self.flow.with(|machine| {
            let socket = machine.socket();
            if !socket.can_recv() {
                return Ok(false);
            }
            let mut guard = self.flow.guard.borrow_mut();
            let Some(guard) = &mut *guard else {
                return Ok(false);
            };
            let result = socket.recv(|bytes| {
                let bytes = &bytes[..bytes.len().min(MOUTHFUL)];
                (bytes.len(), guard.push(bytes, passed).map(|()| !bytes.is_empty()))
            });
            result.unwrap_or(Ok(false))
        });
        moved |= judged.unwrap_or(Ok(false)).map_err(Broken::Refused)?;
        self.flush(context)?;
        Ok(moved)
    }

    fn flush(&mut self, context: &mut Context<'_>) -> io::Result<bool> {
        let mut moved = false;
        while self.taken < self.passed.len() {
            match Pin::new(&mut self.stream).poll_write(context, &self.passed[self.taken..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.taken += count;
                    self.flow.sent.set(self.flow.sent.get() + count as u64);
                    moved = true;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(moved),
            }
        }
        self.passed.clear();
        self.passed.shrink_to(4096);
        self.taken = 0;
        Ok(moved)
    }

    /// The sandbox's FIN was taken, and every byte before it.
    fn inside_is_finished(&self) -> bool {
        let finished = self.flow.with(|machine| {
            let over = [State::CloseWait, State::Closing, State::LastAck, State::TimeWait];
            over.contains(&machine.state()) && !machine.socket().can_recv()
        });
        finished.unwrap_or(true)
    }

    fn finish(&mut self, context: &mut Context<'_>) -> Result<bool, Broken> {
        if let Some(guard) = &mut *self.flow.guard.borrow_mut() {
            guard.finish(&mut self.passed).map_err(Broken::Refused)?;
        }
        if !self.passed.is_empty() {
            self.flush(context)?;
            if !self.passed.is_empty() {
                return Ok(true);
            }
        }
        match Pin::new(&mut self.stream).poll_shutdown(context) {
            Poll::Ready(result) => {
                self.sent_all = true;
                result?;
                Ok(true)
            }
            Poll::Pending => Ok(false),
        }
    }

    fn inward(&mut self, context: &mut Context<'_>) -> Result<bool, Broken> {
        let stream = &mut self.stream;
        let read = self.flow.with(|machine| {
            let socket = machine.socket();
            if !socket.can_send() {
                return Ok(None);
            }
            let result = socket.send(|room| {
                let mut room = ReadBuf::new(room);
                match Pin::new(stream).poll_read(context, &mut room) {
                    Poll::Ready(Ok(())) => (room.filled().len(), Ok(Some(room.filled().len()))),
                    Poll::Ready(Err(error)) => (0, Err(error)),
                    Poll::Pending => (0, Ok(None)),
                }
            });
            let read = result.unwrap_or(Ok(None));
            if let Ok(Some(0)) = read {
                socket.close();
            }
            read
        });
        match read.unwrap_or(Ok(None))? {
            Some(0) => {
                self.received_all = true;
                Ok(true)
            }
            Some(count) => {
                self.flow.received.set(self.flow.received.get() + count as u64);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Says to both sides that this did not end well.
    fn break_off(&mut self, why: Broken) {
        if let Broken::Refused(refusal) = why {
            self.flow.refused(&self.plane, Attempt::Claim, refusal);
        }
        self.stream.reset_on_drop();
        self.flow.cut(&self.plane);
    }

    /// Sends what the machine has to send, and wants to be woken when it has more.
    fn rest(&mut self, context: &mut Context<'_>) {
        let plane = Rc::clone(&self.plane);
        let rest = self.flow.with(|machine| {
            machine.turn(&plane.link);
            machine.rest()
        });
        let Some(Some(rest)) = rest else { return };
        let until = Instant::now() + rest.max(Duration::from_millis(1));
        // A timer that fires too early costs one round; moving it at each packet would cost more.
        if self.timer.is_elapsed() || until < self.timer.deadline() {
            self.timer.as_mut().reset(until);
        }
        if self.timer.as_mut().poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
    }
}

impl Future for Relay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        remember(&this.flow, context);
        if this.flow.cut.get() {
            this.stream.reset_on_drop();
            return Poll::Ready(());
        }
        let mut rounds = 0;
        loop {
            match this.round(context) {
                Ok(true) if rounds < ROUNDS => rounds += 1,
                Ok(true) => {
                    context.waker().wake_by_ref();
                    break;
                }
                Ok(false) => break,
                Err(why) => {
                    this.break_off(why);
                    return Poll::Ready(());
                }
            }
        }
        this.rest(context);
        match this.flow.with(|machine| machine.state()) {
            Some(State::TimeWait) if this.sent_all && this.received_all => Poll::Ready(()),
            Some(State::Closed) | None => {
                if !(this.sent_all && this.received_all) {
                    this.stream.reset_on_drop();
                }
                Poll::Ready(())
            }
            _ => Poll::Pending,
        }
    }
}

/// Waits for the sandbox's answer to our SYN: whether there is a connection.
pub(super) struct Established<'a>(pub &'a Rc<Plane>, pub &'a Rc<Flow>);

impl Future for Established<'_> {
    type Output = bool;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        let Self(plane, flow) = *self;
        remember(flow, context);
        let state = flow.with(|machine| {
            machine.turn(&plane.link);
            machine.state()
        });
        match state {
            Some(State::SynSent) => Poll::Pending,
            Some(State::Closed) | None => Poll::Ready(false),
            Some(_) => Poll::Ready(!flow.cut.get()),
        }
    }
}

fn remember(flow: &Flow, context: &Context<'_>) {
    let mut waker = flow.waker.borrow_mut();
    if !waker.as_ref().is_some_and(|old| old.will_wake(context.waker())) {
        *waker = Some(context.waker().clone());
    }
}
