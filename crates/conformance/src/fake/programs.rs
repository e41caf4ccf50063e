//! The programs that a fake sandbox has. They are named as [`crate::Program`] names them.

use std::{collections::BTreeMap, os::unix::ffi::OsStrExt, sync::Arc};

use agentkernel_backend::{Error, Output, Result};
use agentkernel_types::{ErrorKind, ExecId, ExecSpec, Exit, ExitCause, NetworkMode, TerminalSize};
use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};

use super::{Fault, process, world::Cell};
use crate::Program;

pub(super) const NAMES: [&str; 31] = [
    "true",
    "false",
    "echo",
    "exit",
    "signal",
    "arguments",
    "variable",
    "env",
    "pwd",
    "cat",
    "sleep",
    "emit",
    "say",
    "alternate",
    "count",
    "echo-line",
    "parent",
    "alive",
    "on-signal",
    "is-terminal",
    "size",
    "on-resize",
    "write",
    "link",
    "exists",
    "interfaces",
    "user-number",
    "eat-memory",
    "spawn-many",
    "fill",
    "python3",
];

/// Where output goes.
pub(super) enum Sink {
    Stream(mpsc::Sender<Result<Output>>),
    Log(Arc<Cell>, ExecId),
}

/// A command that runs.
pub(super) struct Running {
    pub(super) cell: Arc<Cell>,
    pub(super) number: u32,
    pub(super) spec: ExecSpec,
    pub(super) env: BTreeMap<String, String>,
    pub(super) folder: String,
    pub(super) sink: Sink,
    pub(super) stdin: mpsc::Receiver<Bytes>,
    pub(super) size: watch::Receiver<Option<TerminalSize>>,
    pub(super) caught: Arc<Notify>,
}

pub(super) fn user_number(name: &str) -> Result<u16> {
    let known = [("root", 0), ("sandbox", 1000), ("other", 1234)];
    let known = known
        .into_iter()
        .find(|(known, _)| *known == name)
        .map(|(_, number)| number);
    known.or_else(|| name.parse().ok()).ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            "create",
            format!("the image has no user {name}"),
        )
        .with("field", "user")
    })
}

pub(super) async fn run(mut running: Running) -> Exit {
    let argv = running.argv();
    let name = argv[0].rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let name = String::from_utf8_lossy(name).into_owned();
    let text = |index: usize| {
        argv.get(index)
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .unwrap_or_default()
    };
    let number = |index: usize| text(index).parse::<u64>().unwrap_or(0);
    let limits = running.cell.spec.resources;
    let limited = !running.cell.has(Fault::LimitsIgnored);
    match name.as_str() {
        "false" => Exit::code(1),
        "exit" => Exit::code(number(1) as u8),
        "signal" => Exit::signal(number(1) as u8),
        "echo" => {
            let words: Vec<String> = (1..argv.len()).map(text).collect();
            running.out(format!("{}\n", words.join(" "))).await;
            Exit::SUCCESS
        }
        "arguments" => {
            let bytes = argv[1..]
                .iter()
                .flat_map(|word| [&word[..], b"\0"].concat())
                .collect();
            running.out_bytes(bytes).await;
            Exit::SUCCESS
        }
        "variable" => {
            let value = running
                .env
                .get(&text(1))
                .cloned()
                .unwrap_or_else(|| "<unset>".to_owned());
            running.out(value).await;
            Exit::SUCCESS
        }
        "env" => {
            let lines = running
                .env
                .iter()
                .map(|(name, value)| format!("{name}={value}\n"))
                .collect();
            running.out(lines).await;
            Exit::SUCCESS
        }
        "pwd" => {
            running.out(format!("{}\n", running.folder)).await;
            Exit::SUCCESS
        }
        "cat" if argv.len() == 1 => {
            while let Some(chunk) = running.stdin.recv().await {
                running.out_bytes(chunk.to_vec()).await;
            }
            Exit::SUCCESS
        }
        "cat" => running.cat(&argv[1]).await,
        "sleep" => std::future::pending().await,
        "emit" => {
            running.out_bytes(Program::pattern(number(1) as usize)).await;
            Exit::code(number(2) as u8)
        }
        "say" => {
            running.out(text(1)).await;
            running.err(text(2)).await;
            Exit::code(number(3) as u8)
        }
        "alternate" => {
            for line in 1..=number(1) {
                running.out(format!("o{line}\n")).await;
                running.err(format!("e{line}\n")).await;
            }
            Exit::SUCCESS
        }
        "count" => {
            let mut bytes = 0;
            while let Some(chunk) = running.stdin.recv().await {
                bytes += chunk.len();
            }
            running.out(format!("{bytes}\n")).await;
            Exit::SUCCESS
        }
        "echo-line" => running.echo_line().await,
        "parent" => {
            let child = process::add_child(&running.cell, running.number);
            running.out(format!("{child}\n")).await;
            std::future::pending().await
        }
        "alive" => code(running.cell.inside().processes.contains_key(&(number(1) as u32))),
        "on-signal" => running.on_signal(number(1) as u8).await,
        "is-terminal" => code(running.terminal().is_some()),
        "size" => {
            running.say_size().await;
            Exit::SUCCESS
        }
        "on-resize" => {
            running.size.mark_unchanged();
            running.out("ready\n".to_owned()).await;
            if running.size.changed().await.is_err() {
                return Exit::code(1);
            }
            running.say_size().await;
            Exit::SUCCESS
        }
        "write" => {
            let content = text(2).into_bytes();
            let mode = 0o644;
            code(
                running
                    .cell
                    .inside()
                    .tree
                    .write(&running.absolute(&argv[1]), content, mode, 0)
                    .is_ok(),
            )
        }
        "link" => code(running.cell.inside().tree.link(&argv[2], &argv[1]).is_ok()),
        "exists" => code(running.cell.inside().tree.node(&argv[1], true).is_ok()),
        "interfaces" => {
            let private = running.cell.spec.network.policy.mode == NetworkMode::None
                && !running.cell.has(Fault::NetworkLeftOn);
            running
                .out(if private { "lo\n" } else { "lo\neth0\n" }.to_owned())
                .await;
            Exit::SUCCESS
        }
        "user-number" => {
            let asked = running
                .cell
                .spec
                .user
                .as_ref()
                .filter(|_| !running.cell.has(Fault::IgnoredUser));
            let number = asked
                .and_then(|user| user_number(user.user()).ok())
                .unwrap_or(1000);
            running.out(format!("{number}\n")).await;
            Exit::SUCCESS
        }
        "eat-memory" if limits.memory.is_some() && limited => {
            let told = !running.cell.has(Fault::OutOfMemoryNotTold);
            if told {
                Exit::signal(9).with_cause(ExitCause::OutOfMemory)
            } else {
                Exit::signal(9)
            }
        }
        "spawn-many" => code(limits.pids.is_none_or(|pids| u64::from(pids) > number(1)) || !limited),
        "fill" => {
            let bytes = number(2);
            let mut inside = running.cell.inside();
            let fits = inside.tree.fits(bytes).is_ok();
            code(
                fits && inside
                    .tree
                    .write(&argv[1], vec![0; bytes as usize], 0o644, 0)
                    .is_ok(),
            )
        }
        _ => Exit::SUCCESS,
    }
}

fn code(success: bool) -> Exit {
    Exit::code(u8::from(!success))
}

impl Running {
    fn argv(&self) -> Vec<Vec<u8>> {
        let words: Vec<Vec<u8>> = self
            .spec
            .command
            .argv()
            .iter()
            .map(|word| word.as_bytes().to_vec())
            .collect();
        if self.cell.has(Fault::JoinedArguments) {
            return words
                .join(&b' ')
                .split(|&byte| byte == b' ')
                .map(<[u8]>::to_vec)
                .collect();
        }
        if self.cell.has(Fault::LostEmptyArguments) {
            return words.into_iter().filter(|word| !word.is_empty()).collect();
        }
        words
    }

    fn absolute(&self, path: &[u8]) -> Vec<u8> {
        if path.starts_with(b"/") {
            path.to_vec()
        } else {
            [self.folder.as_bytes(), b"/", path].concat()
        }
    }

    fn terminal(&self) -> Option<TerminalSize> {
        self.size.borrow().filter(|_| !self.cell.has(Fault::NoTerminal))
    }

    async fn say_size(&mut self) {
        let text = match self.terminal() {
            Some(size) => format!("{} {}\n", size.rows, size.columns),
            None => "no terminal\n".to_owned(),
        };
        self.out(text).await;
    }

    async fn cat(&mut self, path: &[u8]) -> Exit {
        let content = self.cell.inside().tree.read(&self.absolute(path));
        match content {
            Ok(content) => {
                self.out_bytes(content).await;
                Exit::SUCCESS
            }
            Err(error) => {
                self.err(format!("cat: {error}\n")).await;
                Exit::code(1)
            }
        }
    }

    async fn echo_line(&mut self) -> Exit {
        self.out("ready\n".to_owned()).await;
        let mut line = Vec::new();
        while !line.contains(&b'\n') {
            match self.stdin.recv().await {
                Some(chunk) => line.extend_from_slice(&chunk),
                None => break,
            }
        }
        self.out_bytes(line).await;
        std::future::pending().await
    }

    async fn on_signal(&mut self, signal: u8) -> Exit {
        if let Some(entry) = self.cell.inside().processes.get_mut(&self.number) {
            entry.handles = Some(signal);
        }
        self.out("ready\n".to_owned()).await;
        self.caught.notified().await;
        self.out("caught\n".to_owned()).await;
        Exit::code(7)
    }

    async fn out(&mut self, text: String) {
        self.out_bytes(text.into_bytes()).await;
    }

    async fn out_bytes(&mut self, mut bytes: Vec<u8>) {
        if self.cell.has(Fault::LostLastBytes) {
            bytes.truncate(bytes.len() - bytes.len() % 4096);
        }
        if self.cell.has(Fault::TextOnly) {
            bytes = String::from_utf8_lossy(&bytes).into_owned().into_bytes();
        }
        self.send(bytes, false).await;
    }

    async fn err(&mut self, text: String) {
        let mixed = self.cell.has(Fault::MixedStreams) || self.terminal().is_some();
        self.send(text.into_bytes(), !mixed).await;
    }

    async fn send(&mut self, bytes: Vec<u8>, to_stderr: bool) {
        let bytes = match self.terminal() {
            Some(_) => String::from_utf8_lossy(&bytes).replace('\n', "\r\n").into_bytes(),
            None => bytes,
        };
        match &self.sink {
            Sink::Stream(output) => {
                let bytes = Bytes::from(bytes);
                for start in (0..bytes.len()).step_by(64 << 10) {
                    let chunk = bytes.slice(start..bytes.len().min(start + (64 << 10)));
                    let item = if to_stderr {
                        Output::Stderr(chunk)
                    } else {
                        Output::Stdout(chunk)
                    };
                    // Whoever listened may have gone; then the command is about to be ended.
                    let _ = output.send(Ok(item)).await;
                }
            }
            Sink::Log(cell, id) => {
                if let Some(log) = cell.inside().detached.get_mut(id) {
                    if to_stderr {
                        &mut log.stderr
                    } else {
                        &mut log.stdout
                    }
                    .extend_from_slice(&bytes);
                }
                cell.news.send_modify(|count| *count += 1);
            }
        }
    }
}
