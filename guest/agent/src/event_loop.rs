//! The one loop: wait for any descriptor, serve it, write what came of it.

mod poll;

use std::{
    collections::BTreeMap,
    os::fd::{AsRawFd, OwnedFd},
    time::{Duration, Instant},
};

use agentkernel_protocol::{CONNECTION, FailureKind, MAX_CONNECTIONS, ToHost};
use poll::{PollSet, Token};
use rustix::{
    io::Errno,
    net::{SocketFlags, accept_with},
};

use crate::{
    connection::{Connection, Stream},
    exec::report_of,
    failure::Failure,
    processes::{kill_all, kill_trees},
    sandbox::Sandbox,
};

/// After so long a silence unused memory is given back.
const SILENCE: Duration = Duration::from_millis(500);
/// How often strangers are looked at, and the listener is tried again without free descriptors.
const LOOK: Duration = Duration::from_millis(250);
/// For the last messages of an agent that ends.
const FAREWELL: Duration = Duration::from_millis(500);

pub struct Agent {
    pub signals: OwnedFd,
    pub listener: Option<OwnedFd>,
    pub connections: BTreeMap<u32, Connection>,
    /// The number of the next connection.
    pub next: u32,
    /// No descriptor was free for a connection that waits: tried again after a while.
    pub is_starved: bool,
    pub sandbox: Sandbox,
}

/// The result is the exit code.
pub fn run(mut agent: Agent) -> i32 {
    let (mut set, mut is_trimmed) = (PollSet::default(), true);
    // What the owner has sent before the agent ran is answered in one piece with the greeting.
    if agent.receive(0).is_break() {
        return agent.end();
    }
    loop {
        let has_more = agent.work();
        agent.flush();
        if agent.is_done() {
            return agent.end();
        }
        agent.register(&mut set);
        let silent = !agent
            .connections
            .values()
            .any(|connection| !connection.streams.is_empty());
        let may_trim = silent && !is_trimmed;
        let timeout = if has_more {
            Some(Duration::ZERO)
        } else {
            agent.timeout(may_trim)
        };
        let ready = set.wait(timeout);
        agent.is_starved = false;
        if ready == 0 && may_trim && !has_more {
            agent.trim();
            set = PollSet::default();
            is_trimmed = true;
            continue;
        }
        for index in 0..set.len() {
            if let Some((token, events)) = set.ready(index) {
                is_trimmed = false;
                if agent.dispatch(token, events).is_break() {
                    return agent.end();
                }
            }
        }
    }
}

type Flow = std::ops::ControlFlow<()>;

impl Agent {
    fn register(&self, set: &mut PollSet) {
        set.clear();
        set.add(self.signals.as_raw_fd(), libc::POLLIN, Token::Signals);
        let listens = self.sandbox.booted.as_ref().is_some_and(|booted| booted.listen);
        if let Some(listener) = self.listener.as_ref().filter(|_| listens && !self.is_starved) {
            set.add(listener.as_raw_fd(), libc::POLLIN, Token::Listener);
        }
        for (&number, connection) in &self.connections {
            set.add(connection.raw(), connection.interest(), Token::Connection(number));
            for (&stream, served) in &connection.streams {
                let Stream::Command(command) = served else {
                    continue;
                };
                if !connection.outbox.is_full() && command.living().is_some() {
                    for (place, raw) in command.readable() {
                        set.add(raw, libc::POLLIN, Token::Output(number, stream, place));
                    }
                }
                if let Some(raw) = command.writable() {
                    set.add(raw, libc::POLLOUT, Token::Input(number, stream));
                }
                if let Some(raw) = command.control() {
                    set.add(raw, libc::POLLIN, Token::Control(number, stream));
                }
            }
        }
        for detached in &self.sandbox.detached {
            for (place, raw) in detached.readable() {
                set.add(raw, libc::POLLIN, Token::Detached(detached.pid, place));
            }
        }
    }

    fn timeout(&self, may_trim: bool) -> Option<Duration> {
        let shutdown = self.sandbox.shutdown.as_ref();
        let shutdown = shutdown.map(|shutdown| shutdown.wakes_at().saturating_duration_since(Instant::now()));
        let strangers = self
            .connections
            .values()
            .any(Connection::is_greeting)
            .then_some(LOOK);
        let starved = self.is_starved.then_some(LOOK);
        let trim = may_trim.then_some(SILENCE);
        [shutdown, strangers, starved, trim].into_iter().flatten().min()
    }

    fn dispatch(&mut self, token: Token, events: i16) -> Flow {
        match token {
            Token::Signals => self.reap(),
            Token::Listener => self.accept(),
            // Writing is done for all at the end of each turn.
            Token::Connection(number) if events & !libc::POLLOUT != 0 => {
                let flow = self.receive(number);
                self.announce_shutdown();
                return flow;
            }
            Token::Connection(_) => {}
            Token::Output(number, stream, place) => self.with_connection(number, |connection| {
                connection.with_command(stream, |command, outbox| command.pump(place, stream, outbox));
            }),
            Token::Input(number, stream) => self.with_connection(number, |connection| {
                connection.with_command(stream, |command, outbox| {
                    command.stdin().write(stream, outbox);
                    crate::exec::State::Open
                });
            }),
            Token::Control(number, stream) => self.with_connection(number, |connection| {
                connection.with_command(stream, |command, outbox| command.hear(stream, outbox));
            }),
            Token::Detached(pid, place) => {
                let Sandbox {
                    detached, scratch, ..
                } = &mut self.sandbox;
                if let Some(detached) = detached.iter_mut().find(|detached| detached.pid == pid) {
                    detached.pump(place, scratch);
                }
            }
        }
        Flow::Continue(())
    }

    fn with_connection(&mut self, number: u32, act: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.connections.get_mut(&number) {
            act(connection);
        }
    }

    fn receive(&mut self, number: u32) -> Flow {
        let Some(connection) = self.connections.get_mut(&number) else {
            return Flow::Continue(());
        };
        match connection.receive(&mut self.sandbox) {
            Ok(()) => Flow::Continue(()),
            Err(_) => self.lose(number),
        }
    }

    /// The end of a connection cancels what it has begun; that of the owner may be the end of all.
    fn lose(&mut self, number: u32) -> Flow {
        let Some(connection) = self.connections.remove(&number) else {
            return Flow::Continue(());
        };
        // Before `Boot` nobody else could ever use this sandbox.
        let tied = self
            .sandbox
            .booted
            .as_ref()
            .is_none_or(|booted| booted.tied_to_owner);
        if connection.is_owner && tied {
            return Flow::Break(());
        }
        kill_trees(&connection.living());
        Flow::Continue(())
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        let socket = match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(socket) => socket,
            Err(errno) => {
                self.is_starved = !matches!(errno, Errno::AGAIN | Errno::INTR | Errno::CONNABORTED);
                return;
            }
        };
        let mut connection = Connection::accepted(socket);
        if self.connections.len() >= MAX_CONNECTIONS {
            let message = format!("at most {MAX_CONNECTIONS} connections are served at once");
            connection.outbox.push(
                CONNECTION,
                &Failure::new(FailureKind::Exhausted, message).into_message(),
            );
            let _ = connection.flush();
            return;
        }
        while self.connections.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        self.connections.insert(self.next, connection);
    }

    /// Takes the exits of all children, our own and those that came to us.
    fn reap(&mut self) {
        let mut information = [0; 4 * size_of::<libc::signalfd_siginfo>()];
        while let Ok(_) | Err(Errno::INTR) = rustix::io::read(&self.signals, &mut information[..]) {}
        loop {
            let mut status = 0;
            // SAFETY: a place for the status.
            let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG | libc::__WALL) };
            if pid <= 0 {
                return;
            }
            self.child_ended(pid, status);
        }
    }

    fn child_ended(&mut self, pid: i32, status: i32) {
        for connection in self.connections.values_mut() {
            if let Some(stream) = connection.stream_of(pid) {
                return connection.with_command(stream, |command, outbox| {
                    command.child_ended(status, stream, outbox)
                });
            }
        }
        let Sandbox {
            detached,
            scratch,
            logs,
            ..
        } = &mut self.sandbox;
        if let Some(place) = detached.iter().position(|detached| detached.pid == pid) {
            detached
                .swap_remove(place)
                .ended(report_of(status), scratch, logs.as_ref());
        }
    }

    /// True: there is more to do at once.
    fn work(&mut self) -> bool {
        let (mut has_more, mut lost) = (false, Vec::new());
        let now = Instant::now();
        for (&number, connection) in &mut self.connections {
            match connection.work(&mut self.sandbox) {
                Ok(more) => has_more |= more,
                Err(_) => lost.push(number),
            }
            if connection.is_late(now) {
                lost.push(number);
            }
        }
        self.lose_all(lost);
        has_more
    }

    fn flush(&mut self) {
        let connections = self.connections.iter_mut();
        let lost =
            connections.filter_map(|(&number, connection)| connection.flush().is_err().then_some(number));
        let lost = lost.collect();
        self.lose_all(lost);
    }

    fn lose_all(&mut self, lost: Vec<u32>) {
        for number in lost {
            if self.lose(number).is_break() {
                self.sandbox.is_orphaned = true;
            }
        }
    }

    /// Before any end that it causes is told: whoever waits for a command learns why it ended.
    fn announce_shutdown(&mut self) {
        if self.sandbox.shutdown.is_some() && !std::mem::replace(&mut self.sandbox.is_announced, true) {
            for connection in self.connections.values_mut() {
                connection.outbox.push(CONNECTION, &ToHost::Stopping);
            }
        }
    }

    fn is_done(&mut self) -> bool {
        let Sandbox {
            shutdown,
            first,
            is_orphaned,
            ..
        } = &mut self.sandbox;
        *is_orphaned
            || shutdown
                .as_mut()
                .is_some_and(|shutdown| shutdown.step(*first, Instant::now()))
    }

    /// The last words, and nothing is left behind.
    fn end(mut self) -> i32 {
        if self.sandbox.shutdown.is_some() {
            self.reap();
            self.work();
            let until = Instant::now() + FAREWELL;
            while self
                .connections
                .values()
                .any(|connection| !connection.outbox.is_empty())
                && Instant::now() < until
            {
                self.flush();
                let mut set = PollSet::default();
                let waiting = self
                    .connections
                    .values()
                    .filter(|connection| !connection.outbox.is_empty());
                waiting.for_each(|connection| set.add(connection.raw(), libc::POLLOUT, Token::Signals));
                set.wait(Some(Duration::from_millis(10)));
            }
        }
        // As the first process the agent takes all others with it by ending.
        if !self.sandbox.first {
            kill_all(false);
        }
        0
    }

    fn trim(&mut self) {
        self.connections.values_mut().for_each(Connection::trim);
        self.sandbox.scratch = Vec::new();
        // SAFETY: a plain number; only gives free memory back to the kernel.
        unsafe { libc::malloc_trim(0) };
    }
}
