//! What each message does. A message that the protocol forbids ends its connection, and no other.

use std::time::{Duration, Instant};

use agentkernel_protocol::{
    Boot, CONNECTION, ExecRequest, FailureKind, FileRequest, MAX_STREAMS, StatsReport, ToGuest, ToHost,
    negotiate,
};

use crate::{
    connection::{Connection, Phase, Stream},
    detached::Detached,
    exec::{self, State},
    failure::{Failure, Result},
    files::{self, Begun, FileOperation},
    processes::count_all,
    sandbox::{Booted, Sandbox},
    shutdown::Shutdown,
};

/// A sentence for the log of the peer.
pub struct Violation(pub String);

type Served = Result<(), Violation>;

fn violation<T>(message: &str) -> Result<T, Violation> {
    Err(Violation(message.to_owned()))
}

pub fn serve(connection: &mut Connection, sandbox: &mut Sandbox, stream: u32, message: ToGuest) -> Served {
    match (connection.phase, message) {
        (Phase::Greeting, ToGuest::Hello(hello)) if stream == CONNECTION => {
            negotiate(&hello).map_err(|error| Violation(error.to_string()))?;
            connection.phase = if connection.is_owner {
                Phase::Booting
            } else {
                Phase::Serving
            };
            Ok(())
        }
        (Phase::Booting, ToGuest::Boot(request)) if stream == CONNECTION => {
            boot(connection, sandbox, &request)
        }
        (Phase::Serving, message) => serve_booted(connection, sandbox, stream, message),
        _ => violation("the connection does not begin with a greeting, and the owner's with `Boot` after it"),
    }
}

fn boot(connection: &mut Connection, sandbox: &mut Sandbox, request: &Boot) -> Served {
    let booted = Booted::new(request).map_err(|failure| Violation(failure.message))?;
    sandbox.booted = Some(booted);
    connection.phase = Phase::Serving;
    connection.outbox.push(CONNECTION, &ToHost::Booted);
    Ok(())
}

fn serve_booted(connection: &mut Connection, sandbox: &mut Sandbox, stream: u32, message: ToGuest) -> Served {
    match message {
        ToGuest::Hello(_) | ToGuest::Boot(_) => violation("a second greeting"),
        ToGuest::Exec(request) => open(connection, stream, |connection| {
            exec(connection, sandbox, stream, &request)
        }),
        ToGuest::File(request) => open(connection, stream, |connection| {
            file(connection, sandbox, stream, request)
        }),
        ToGuest::Stdin(bytes) => stdin(connection, stream, bytes.into_vec()),
        ToGuest::FileData(bytes) => file_data(connection, stream, &bytes),
        ToGuest::FileEnd => {
            file_end(connection, stream);
            Ok(())
        }
        ToGuest::OutputCredit(credit) => {
            grant(connection, stream, credit);
            Ok(())
        }
        ToGuest::Ping => {
            connection.outbox.push(stream, &ToHost::Pong);
            Ok(())
        }
        ToGuest::Stats => {
            let report = stats(connection, sandbox);
            connection.outbox.push(stream, &ToHost::Stats(report));
            Ok(())
        }
        ToGuest::ListDetached => {
            let ids = sandbox
                .detached
                .iter()
                .map(|detached| detached.id.clone())
                .collect();
            connection.outbox.push(stream, &ToHost::Detached(ids));
            Ok(())
        }
        ToGuest::KillDetached(id) => {
            connection.outbox.push(stream, &kill_detached(sandbox, &id));
            Ok(())
        }
        ToGuest::Shutdown { grace_ms } => {
            let grace = Duration::from_millis(grace_ms.into());
            sandbox
                .shutdown
                .get_or_insert_with(|| Shutdown::begin(sandbox.first, Instant::now() + grace));
            Ok(())
        }
        ToGuest::CloseStdin | ToGuest::Signal(_) | ToGuest::Resize { .. } | ToGuest::Cancel => {
            control(connection, stream, &message);
            Ok(())
        }
    }
}

/// Opens a stream, or answers why not.
fn open(
    connection: &mut Connection,
    stream: u32,
    begin: impl FnOnce(&mut Connection) -> Result<()>,
) -> Served {
    if stream == CONNECTION || connection.streams.contains_key(&stream) {
        return violation("a stream is opened twice");
    }
    let begun = if connection.streams.len() >= MAX_STREAMS {
        let message =
            format!("at most {MAX_STREAMS} commands and file operations run at once on one connection");
        Err(Failure::new(FailureKind::Exhausted, message))
    } else {
        begin(connection)
    };
    if let Err(failure) = begun {
        connection.outbox.push(stream, &failure.into_message());
    }
    Ok(())
}

fn exec(
    connection: &mut Connection,
    sandbox: &mut Sandbox,
    stream: u32,
    request: &ExecRequest,
) -> Result<()> {
    if sandbox.shutdown.is_some() {
        return Err(Failure::new(
            FailureKind::Cancelled,
            "the sandbox is being stopped",
        ));
    }
    if let Some(id) = &request.detach {
        let detached = Detached::start(id, request, sandbox)?;
        connection.outbox.push(
            stream,
            &ToHost::Started {
                pid: detached.pid as u32,
            },
        );
        connection.outbox.push(stream, &ToHost::Done);
        sandbox.detached.push(detached);
        return Ok(());
    }
    let command = exec::start(request, sandbox)?;
    if let Some(pid) = command.pid() {
        connection
            .outbox
            .push(stream, &ToHost::Started { pid: pid as u32 });
    }
    connection
        .streams
        .insert(stream, Stream::Command(Box::new(command)));
    Ok(())
}

fn file(connection: &mut Connection, sandbox: &mut Sandbox, stream: u32, request: FileRequest) -> Result<()> {
    match files::begin(request, sandbox)? {
        Begun::Answer(answer) => connection.outbox.push(stream, &answer),
        Begun::Operation(operation) => {
            connection.streams.insert(stream, Stream::File(operation));
        }
    }
    Ok(())
}

/// What comes for a stream that has ended is no error: the peer could not know.
fn stdin(connection: &mut Connection, stream: u32, bytes: Vec<u8>) -> Served {
    let granted = match connection.streams.get_mut(&stream) {
        None => true,
        Some(Stream::Command(command)) => command.stdin().push(bytes, stream, &mut connection.outbox),
        Some(Stream::File(_)) => return violation("input for a file operation"),
    };
    if granted {
        Ok(())
    } else {
        violation("more input than was granted")
    }
}

fn file_data(connection: &mut Connection, stream: u32, bytes: &[u8]) -> Served {
    let writing = match connection.streams.get_mut(&stream) {
        None => return Ok(()),
        Some(Stream::File(FileOperation::Write(writing))) => writing,
        Some(_) => return violation("file content for what is not written"),
    };
    if !writing.credit.take(bytes.len()) {
        return violation("more file content than was granted");
    }
    match writing.write(bytes) {
        Ok(()) => writing
            .credit
            .give_back(bytes.len(), stream, &mut connection.outbox),
        Err(failure) => {
            connection.streams.remove(&stream);
            connection.outbox.push(stream, &failure.into_message());
        }
    }
    Ok(())
}

fn file_end(connection: &mut Connection, stream: u32) {
    if !matches!(
        connection.streams.get(&stream),
        Some(Stream::File(FileOperation::Write(_)))
    ) {
        return;
    }
    if let Some(Stream::File(FileOperation::Write(writing))) = connection.streams.remove(&stream) {
        let answer = writing
            .finish()
            .map_or_else(Failure::into_message, |()| ToHost::Done);
        connection.outbox.push(stream, &answer);
    }
}

fn grant(connection: &mut Connection, stream: u32, credit: u32) {
    match connection.streams.get_mut(&stream) {
        Some(Stream::Command(command)) => command.grant(credit),
        Some(Stream::File(FileOperation::Read(reading))) => {
            reading.credit = reading.credit.saturating_add(credit)
        }
        _ => {}
    }
}

fn control(connection: &mut Connection, stream: u32, message: &ToGuest) {
    if matches!(message, ToGuest::Cancel) && matches!(connection.streams.get(&stream), Some(Stream::File(_)))
    {
        connection.streams.remove(&stream);
        let failure = Failure::new(FailureKind::Cancelled, "the file operation was cancelled");
        connection.outbox.push(stream, &failure.into_message());
        return;
    }
    connection.with_command(stream, |command, outbox| {
        match *message {
            ToGuest::CloseStdin => command.stdin().close(stream, outbox),
            ToGuest::Signal(number) => command.signal(number),
            ToGuest::Resize { rows, columns } => command.resize(rows, columns),
            ToGuest::Cancel => return command.cancel(stream, outbox),
            _ => {}
        }
        State::Open
    });
}

fn kill_detached(sandbox: &Sandbox, id: &str) -> ToHost {
    match sandbox.detached.iter().find(|detached| detached.id == id) {
        Some(detached) => {
            detached.kill();
            ToHost::Done
        }
        None => Failure::new(FailureKind::NotFound, "no such detached command runs").into_message(),
    }
}

fn stats(connection: &Connection, sandbox: &Sandbox) -> StatsReport {
    StatsReport {
        processes: u32::try_from(count_all(sandbox.first)).unwrap_or(u32::MAX),
        streams: connection.streams.len() as u32,
        uptime_ms: u64::try_from(sandbox.started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}
