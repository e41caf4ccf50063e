//! The commands of a fake sandbox: how they are started, spoken to and ended.

use std::{collections::BTreeMap, future::poll_fn, sync::Arc};

use agentkernel_backend::{Error, Input, LogStream, Output, Process, ProcessInput, Result};
use agentkernel_types::{
    EnvVar, ErrorKind, ExecId, ExecSpec, Exit, ExitStatus, Signal, StdinMode, TerminalSize,
};
use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};

use super::{
    Fault,
    programs::{self, Running, Sink},
    tree::Node,
    world::{Cell, Detached, Entry},
};

pub(super) fn start(cell: &Arc<Cell>, spec: ExecSpec) -> Result<Process> {
    if let Err(error) = can_be_executed(cell, &spec) {
        if error.kind() == ErrorKind::CommandNotFound && cell.has(Fault::MissingCommandIsAnExit) {
            let (process, output, _) = Process::channel();
            output
                .try_send(Ok(Output::Exit(Exit::code(127))))
                .expect("a fresh channel has room");
            return Ok(process);
        }
        return Err(error);
    }
    let (process, output, input) = Process::channel();
    let (end, ended) = watch::channel(None);
    let caught = Arc::new(Notify::new());
    let number = add_process(
        cell,
        Entry {
            parent: None,
            end,
            handles: None,
            caught: caught.clone(),
        },
    );
    let (stdin_sender, stdin) = mpsc::channel(Process::CHANNEL_DEPTH);
    let (resize, size) = watch::channel(spec.terminal);
    if let Some(id) = &spec.detach {
        let command = spec
            .command
            .argv()
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        cell.inside().detached.insert(
            id.clone(),
            Detached {
                command,
                process: number,
                ..Detached::default()
            },
        );
    }
    let sink = match &spec.detach {
        Some(id) => Sink::Log(cell.clone(), id.clone()),
        None => Sink::Stream(output.clone()),
    };
    let piped = spec.stdin == StdinMode::Piped || (spec.terminal.is_some() && spec.detach.is_none());
    let stdin_sender = (piped || cell.has(Fault::NullStdinHangs)).then_some(stdin_sender);
    let running = Running {
        cell: cell.clone(),
        number,
        env: environment(cell, &spec.env),
        folder: folder(cell, &spec),
        sink,
        stdin,
        size,
        caught,
        spec,
    };
    let pump = Pump {
        cell: cell.clone(),
        number,
        stdin: stdin_sender,
        resize,
        output: output.clone(),
    };
    tokio::spawn(serve(running, pump, input, output, ended));
    Ok(process)
}

fn add_process(cell: &Cell, entry: Entry) -> u32 {
    let mut inside = cell.inside();
    let number = inside.next_process;
    inside.next_process += 1;
    inside.processes.insert(number, entry);
    number
}

/// A child that does nothing, so that it can be seen whether it ends with its parent.
pub(super) fn add_child(cell: &Cell, parent: u32) -> u32 {
    let (end, _) = watch::channel(None);
    add_process(
        cell,
        Entry {
            parent: Some(parent),
            end,
            handles: None,
            caught: Arc::new(Notify::new()),
        },
    )
}

fn can_be_executed(cell: &Cell, spec: &ExecSpec) -> Result<()> {
    let inside = cell.inside();
    if let Some(folder) = spec.workdir.as_ref().or(cell.spec.workdir.as_ref())
        && !cell.has(Fault::MissingWorkdirAccepted)
        && !matches!(
            inside.tree.node(folder.as_str().as_bytes(), true),
            Ok(Node::Folder)
        )
    {
        return Err(Error::new(
            ErrorKind::InvalidSpec,
            "exec",
            format!("the working directory {folder} does not exist"),
        ));
    }
    let program = spec.command.program().as_encoded_bytes();
    let fail = |kind, why: &str| {
        let name = spec.command.program().to_string_lossy();
        Err(Error::new(kind, "exec", format!("{name}: {why}")))
    };
    if !program.contains(&b'/') {
        let known = programs::NAMES.iter().any(|name| name.as_bytes() == program);
        return if known {
            Ok(())
        } else {
            fail(ErrorKind::CommandNotFound, "command not found")
        };
    }
    match inside.tree.node(program, true) {
        Ok(Node::File { mode, .. }) if mode & 0o111 != 0 => Ok(()),
        Ok(_) if cell.has(Fault::NotExecutableIsNotFound) => {
            fail(ErrorKind::CommandNotFound, "command not found")
        }
        Ok(_) => fail(ErrorKind::NotExecutable, "not executable"),
        Err(_) => fail(ErrorKind::CommandNotFound, "no such file"),
    }
}

fn environment(cell: &Cell, own: &[EnvVar]) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = [
        ("PATH", "/usr/bin:/bin"),
        ("HOME", "/home/sandbox"),
        ("USER", "sandbox"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    if cell.has(Fault::LeakedHostEnv) {
        env.extend(std::env::vars());
    }
    let (mut first, mut second) = (&cell.spec.env[..], own);
    if cell.has(Fault::EnvOrderReversed) {
        std::mem::swap(&mut first, &mut second);
    }
    if !cell.has(Fault::IgnoredEnv) {
        let pair = |variable: &EnvVar| (variable.name().to_owned(), variable.value().to_owned());
        env.extend(first.iter().chain(second).map(pair));
    }
    env
}

fn folder(cell: &Cell, spec: &ExecSpec) -> String {
    let asked = spec
        .workdir
        .as_ref()
        .or(cell.spec.workdir.as_ref())
        .filter(|_| !cell.has(Fault::IgnoredWorkdir));
    asked.map_or("/home/sandbox", |path| path.as_str()).to_owned()
}

async fn serve(
    running: Running,
    mut pump: Pump,
    mut input: ProcessInput,
    output: mpsc::Sender<Result<Output>>,
    mut ended: watch::Receiver<Option<Exit>>,
) {
    let (cell, number, detach) = (running.cell.clone(), running.number, running.spec.detach.clone());
    let kept = detach.is_some() && !cell.has(Fault::DetachedDiesWithCaller);
    let watched = !kept && !cell.has(Fault::ExecLeftRunningAfterDrop);
    let pumping = async {
        while let Some(said) = input.recv().await {
            match said {
                Input::Stdin(bytes) => pump.feed(bytes, &mut input).await,
                Input::CloseStdin => pump.close(),
                urgent => pump.urgent(urgent),
            }
        }
        // Every sink is gone: nothing more will be said.
        pump.stdin = None;
        std::future::pending::<()>().await;
    };
    let killed = async { ended.wait_for(Option::is_some).await.ok().and_then(|exit| *exit) };
    let exit = tokio::select! {
        biased;
        exit = killed => exit.unwrap_or(Exit::signal(9)),
        exit = programs::run(running) => exit,
        () = output.closed(), if watched => Exit::signal(9),
        () = pumping => unreachable!("it waits for ever"),
    };
    let exit = told(&cell, exit);
    {
        let mut inside = cell.inside();
        inside.processes.remove(&number);
        if !(cell.has(Fault::ChildrenLeftAfterDrop) && output.is_closed()) {
            inside.processes.retain(|_, entry| entry.parent != Some(number));
        }
        if let Some(detached) = detach.as_ref().and_then(|id| inside.detached.get_mut(id)) {
            detached.exit.get_or_insert(exit);
        }
    }
    cell.news.send_modify(|count| *count += 1);
    if !cell.has(Fault::LostExit) {
        // Whoever asked may have gone.
        let _ = output.send(Ok(Output::Exit(exit))).await;
    }
}

/// The exit as a faulty backend would tell it.
fn told(cell: &Cell, exit: Exit) -> Exit {
    match exit.status {
        ExitStatus::Code(_) if cell.has(Fault::ExitAlwaysZero) => Exit::SUCCESS,
        ExitStatus::Signal(signal) if cell.has(Fault::SignalAsCode) => Exit::code(128 + signal),
        _ => exit,
    }
}

/// What is said to a command, on its way to it.
struct Pump {
    cell: Arc<Cell>,
    number: u32,
    stdin: Option<mpsc::Sender<Bytes>>,
    resize: watch::Sender<Option<TerminalSize>>,
    output: mpsc::Sender<Result<Output>>,
}

impl Pump {
    /// Waits until the command reads, and passes on meanwhile what is urgent.
    async fn feed(&self, bytes: Bytes, input: &mut ProcessInput) {
        let mut writing = std::pin::pin!(self.write(bytes));
        while !self.cell.has(Fault::SignalBehindInput) {
            tokio::select! {
                () = &mut writing => return,
                urgent = poll_fn(|cx| input.poll_urgent(cx)) => match urgent {
                    Some(urgent) => self.urgent(urgent),
                    None => break,
                },
            }
        }
        writing.await;
    }

    async fn write(&self, bytes: Bytes) {
        if self.resize.borrow().is_some() && !self.cell.has(Fault::NoTerminal) {
            self.typed(bytes).await;
        } else if let Some(stdin) = &self.stdin {
            // A command that has closed its stdin does not care.
            let _ = stdin.send(bytes).await;
        }
    }

    fn close(&mut self) {
        if !self.cell.has(Fault::StdinNeverCloses) {
            self.stdin = None;
        }
    }

    fn urgent(&self, said: Input) {
        match said {
            Input::Signal(_) if self.cell.has(Fault::SignalsLost) => {}
            Input::Signal(signal) => deliver(&self.cell, self.number, signal),
            Input::Resize(_) if self.cell.has(Fault::ResizeIgnored) => {}
            Input::Resize(size) => drop(self.resize.send_replace(Some(size))),
            Input::Stdin(_) | Input::CloseStdin => unreachable!("it waits its turn"),
        }
    }

    /// What a terminal makes of keys.
    async fn typed(&self, bytes: Bytes) {
        let echo = |bytes: Bytes| Ok(Output::Stdout(bytes));
        for &byte in &bytes {
            match byte {
                3 => deliver(&self.cell, self.number, Signal::INT),
                26 => drop(self.output.send(Ok(Output::Stopped)).await),
                b'\r' => {
                    let _ = self.output.send(echo(Bytes::from_static(b"\r\n"))).await;
                    if let Some(stdin) = &self.stdin {
                        let _ = stdin.send(Bytes::from_static(b"\n")).await;
                    }
                }
                other => {
                    let key = Bytes::copy_from_slice(&[other]);
                    let _ = self.output.send(echo(key.clone())).await;
                    if let Some(stdin) = &self.stdin {
                        let _ = stdin.send(key).await;
                    }
                }
            }
        }
    }
}

fn deliver(cell: &Cell, number: u32, signal: Signal) {
    if matches!(signal, Signal::CONT | Signal::STOP) {
        return;
    }
    let inside = cell.inside();
    if let Some(entry) = inside.processes.get(&number) {
        if entry.handles == Some(signal.number()) {
            entry.caught.notify_one();
        } else {
            entry.end.send_replace(Some(Exit::signal(signal.number())));
        }
    }
}

pub(super) fn end_detached(cell: &Cell, id: &ExecId, exit: Exit) {
    let inside = cell.inside();
    let entry = inside
        .detached
        .get(id)
        .and_then(|detached| inside.processes.get(&detached.process));
    if let Some(entry) = entry {
        entry.end.send_replace(Some(exit));
    }
}

pub(super) async fn send_log(
    cell: Arc<Cell>,
    id: ExecId,
    stream: LogStream,
    mut offset: u64,
    follow: bool,
    sender: mpsc::Sender<Result<Bytes>>,
) {
    let mut news = cell.news.subscribe();
    loop {
        let Some(detached) = cell.inside().detached.get(&id).cloned() else {
            return;
        };
        let log = if stream == LogStream::Stdout {
            detached.stdout
        } else {
            detached.stderr
        };
        let fresh = log.get(offset as usize..).unwrap_or_default();
        for chunk in fresh.chunks(64 << 10) {
            if sender.send(Ok(Bytes::copy_from_slice(chunk))).await.is_err() {
                return;
            }
        }
        offset = offset.max(log.len() as u64);
        if !follow || detached.exit.is_some() {
            return;
        }
        tokio::select! {
            changed = news.changed() => if changed.is_err() { return },
            () = sender.closed() => return,
        }
    }
}
