//! Commands of other engines: no shell, nothing on stdin, ended with us.

use std::{
    io::{self, Read},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use agentkernel_types::ErrorKind;

use crate::{Error, Result};

/// So much of what it says on stderr is kept: the end of it, where the reason stands.
const SAID: usize = 4 << 10;

/// So long the end of its log is waited for after a command has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Is told what a command says.
pub type Heard = Arc<dyn Fn(&str) + Send + Sync>;

/// Whether a command succeeds within a time.
pub(super) fn quiet(program: &str, arguments: &[&str], within: Duration) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else {
        return false;
    };
    let end = Instant::now() + within;
    let mut pause = Duration::from_millis(1);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < end => thread::sleep(pause),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// What a command's stdout is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Output {
    /// Read by us.
    Data,
    /// More of what it says on stderr: which of its two it uses for that differs from program to program.
    Log,
}

/// A command that runs. Dropping it ends it.
pub(super) struct Running {
    program: String,
    child: Child,
    output: Option<ChildStdout>,
    said: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    /// `heard` gets each line that the command says.
    pub(super) fn start(
        program: &str,
        arguments: &[&str],
        output: Output,
        heard: Option<Heard>,
    ) -> Result<Self> {
        let failed = |error| {
            Error::new(ErrorKind::Unavailable, "image", format!("cannot run {program}")).because(error)
        };
        let (said, saying) = io::pipe().map_err(failed)?;
        let stdout = match output {
            Output::Data => Stdio::piped(),
            Output::Log => saying.try_clone().map_err(failed)?.into(),
        };
        // A temporary, so that no end for writing stays with us: the log ends with the command.
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(saying)
            .spawn()
            .map_err(failed)?;
        Ok(Self {
            program: program.to_owned(),
            output: child.stdout.take(),
            child,
            said: Some(thread::spawn(move || tail(said, heard))),
        })
    }

    pub(super) fn finish(mut self) -> Result<()> {
        // A reader that has enough must not keep the writer waiting for ever.
        drop(self.output.take());
        let status = self.child.wait().map_err(|error| {
            Error::new(
                ErrorKind::Broken,
                "image",
                format!("cannot wait for {}", self.program),
            )
            .because(error)
        })?;
        let said = self.said.take().and_then(last_words).unwrap_or_default();
        if status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&said);
        let reason: Vec<&str> = said
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let reason = reason.last().copied().unwrap_or("it said nothing");
        Err(Error::new(
            ErrorKind::Broken,
            "image",
            format!("{} failed ({status}): {}", self.program, reason.escape_debug()),
        ))
    }
}

impl Read for Running {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.output.as_mut().map_or(Ok(0), |output| output.read(buffer))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A process that the command has left behind may hold its log open: that is no reason to wait for it.
fn last_words(said: JoinHandle<Vec<u8>>) -> Option<Vec<u8>> {
    let end = Instant::now() + LAST_WORDS;
    while !said.is_finished() {
        if Instant::now() > end {
            return None;
        }
        thread::sleep(Duration::from_millis(1));
    }
    said.join().ok()
}

fn tail(from: impl Read, heard: Option<Heard>) -> Vec<u8> {
    let (mut kept, mut from) = (Vec::new(), io::BufReader::new(from));
    loop {
        let mut line = Vec::new();
        // A line without an end is told in pieces.
        match io::BufRead::read_until(&mut from.by_ref().take(SAID as u64), b'\n', &mut line) {
            Ok(1..) => {}
            _ => break,
        }
        if let Some(heard) = &heard {
            heard(String::from_utf8_lossy(&line).trim_end());
        }
        kept.extend_from_slice(&line);
        if kept.len() > 2 * SAID {
            kept.drain(..kept.len() - SAID);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_hangs_is_ended_in_time() {
        assert!(quiet("true", &[], Duration::from_secs(5)));
        assert!(!quiet("false", &[], Duration::from_secs(5)));
        assert!(!quiet("sleep", &["1000"], Duration::from_millis(50)));
        assert!(!quiet("no-such-program-anywhere", &[], Duration::from_secs(5)));
    }

    fn shell(script: &str, output: Output, heard: Option<Heard>) -> Running {
        Running::start("sh", &["-c", script], output, heard).expect("a shell")
    }

    #[test]
    fn a_failure_is_told_in_the_commands_own_last_words() {
        let script = "echo output; echo first >&2; echo the reason >&2; exit 3";
        let mut running = shell(script, Output::Data, None);
        let mut output = String::new();
        running.read_to_string(&mut output).expect("it can be read");
        assert_eq!(output, "output\n");
        let error = running.finish().expect_err("it failed");
        assert!(error.message().contains("the reason"), "{error}");
        assert!(error.message().contains("exit status: 3"), "{error}");
    }

    #[test]
    fn what_is_said_on_either_stream_is_heard() {
        let lines = Arc::new(std::sync::Mutex::new(Vec::new()));
        let heard = Arc::clone(&lines);
        let heard: Heard = Arc::new(move |line: &str| heard.lock().expect("no panic").push(line.to_owned()));
        let script = "echo one; echo two >&2; printf three";
        shell(script, Output::Log, Some(heard))
            .finish()
            .expect("it succeeds");
        assert_eq!(*lines.lock().expect("no panic"), ["one", "two", "three"]);
    }

    #[test]
    fn a_process_that_is_left_behind_holds_nobody_up() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let file = folder.path().join("left");
        let script = format!("sleep 1000 & echo $! > {}; exit 3", file.display());
        let error = shell(&script, Output::Log, None).finish().expect_err("it failed");
        assert!(error.message().contains("exit status: 3"), "{error}");
        let left = std::fs::read_to_string(file).expect("its number");
        let killed = Command::new("kill").arg(left.trim()).status().expect("a kill");
        assert!(killed.success(), "it was waited for");
    }
}
