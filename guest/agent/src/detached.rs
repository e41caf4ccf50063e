//! Commands that outlive their connection: their output goes to files in the logs folder.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use agentkernel_protocol::{ExecRequest, ExitReport, FailureKind, MAX_LOG};
use agentkernel_types::ExecId;
use rustix::{
    fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat},
    io::Errno,
};

use crate::{
    exec::{Pumped, Source, Started},
    failure::{Failure, Result},
    processes::kill_trees,
    sandbox::Sandbox,
};

const MARKER: &[u8] = b"\n[agentkernel: output beyond 16 MiB was dropped]\n";
/// One read of a pipe.
const PIECE: usize = 64 << 10;

pub struct Detached {
    pub id: String,
    pub pid: i32,
    /// stdout, stderr.
    logs: [Option<Log>; 2],
}

struct Log {
    source: Source,
    file: OwnedFd,
    written: u64,
    dropping: bool,
}

impl Detached {
    pub fn start(id: &str, request: &ExecRequest, sandbox: &mut Sandbox) -> Result<Self> {
        if id.parse::<ExecId>().is_err() {
            return Err(Failure::invalid(
                "the id of a detached command has 8 hexadecimal digits",
            ));
        }
        if request.terminal.is_some() || request.piped_stdin {
            return Err(Failure::invalid(
                "a detached command has neither a terminal nor an input",
            ));
        }
        let kept = sandbox.booted.as_ref().is_some_and(|booted| booted.keep_logs);
        let Some(folder) = sandbox.logs.as_ref().filter(|_| kept) else {
            let message = "this sandbox keeps no output of detached commands";
            return Err(Failure::new(FailureKind::Unsupported, message));
        };
        let folder = folder
            .try_clone()
            .map_err(|_| Failure::new(FailureKind::Exhausted, "too many files are open"))?;
        let files = LogFiles::create(folder, id)?;
        let Started {
            pid, stdout, stderr, ..
        } = Started::detached(request, sandbox)?;
        let [first, second] = files.keep();
        Ok(Self {
            id: id.to_owned(),
            pid,
            logs: [Some(Log::new(stdout, first)), Some(Log::new(stderr, second))],
        })
    }

    pub fn readable(&self) -> impl Iterator<Item = (usize, RawFd)> {
        let logs = self.logs.iter().enumerate();
        logs.filter_map(|(place, log)| log.as_ref().map(|log| (place, log.source.raw())))
    }

    pub fn pump(&mut self, place: usize, scratch: &mut Vec<u8>) {
        if let Some(log) = &mut self.logs[place]
            && log.pump(scratch) == Pumped::End
        {
            self.logs[place] = None;
        }
    }

    /// The kernel has told its end: the rest is kept, then the exit is written.
    pub fn ended(mut self, report: ExitReport, scratch: &mut Vec<u8>, folder: Option<&OwnedFd>) {
        for log in self.logs.iter_mut().flatten() {
            log.source.finish();
            while log.pump(scratch) != Pumped::End {}
        }
        if let Some(folder) = folder {
            // Without space there is no record of the exit; there is nobody who could be told.
            let _ = write_exit(folder.as_fd(), &self.id, report);
        }
    }

    pub fn kill(&self) {
        kill_trees(&[self.pid]);
    }
}

impl Log {
    fn new(source: OwnedFd, file: OwnedFd) -> Self {
        Self {
            source: Source::pipe(source),
            file,
            written: 0,
            dropping: false,
        }
    }

    fn pump(&mut self, scratch: &mut Vec<u8>) -> Pumped {
        scratch.resize(PIECE, 0);
        let pumped = self.source.take(PIECE, |limit, source| {
            let limit = limit.min(PIECE);
            rustix::io::read(source, &mut scratch[..limit])
        });
        if let Pumped::Some(length) = pumped {
            self.keep(&scratch[..length]);
        }
        pumped
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.dropping {
            return;
        }
        let room = usize::try_from(MAX_LOG - self.written).unwrap_or(usize::MAX);
        let kept = bytes.len().min(room);
        let whole = write_all(self.file.as_fd(), &bytes[..kept]).is_ok();
        self.written += kept as u64;
        if kept < bytes.len() || !whole {
            self.dropping = true;
            let _ = write_all(self.file.as_fd(), MARKER);
        }
    }
}

/// Both files of one command, removed again if it never starts.
struct LogFiles {
    folder: OwnedFd,
    made: Vec<(String, OwnedFd)>,
}

impl LogFiles {
    fn create(folder: OwnedFd, id: &str) -> Result<Self> {
        let mut files = Self {
            folder,
            made: Vec::new(),
        };
        for stream in ["stdout", "stderr"] {
            let name = format!("{id}.{stream}");
            let file = create(files.folder.as_fd(), &name);
            let file = file.map_err(|errno| Failure::errno(errno, "create the log", name.as_bytes()))?;
            files.made.push((name, file));
        }
        Ok(files)
    }

    fn keep(mut self) -> [OwnedFd; 2] {
        let files: Vec<OwnedFd> = self.made.drain(..).map(|(_, file)| file).collect();
        files.try_into().expect("two files were made")
    }
}

impl Drop for LogFiles {
    fn drop(&mut self) {
        for (name, _) in &self.made {
            let _ = unlinkat(&self.folder, name.as_str(), AtFlags::empty());
        }
    }
}

fn create(folder: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::RUSR | Mode::WUSR)
}

/// Whole or not at all: whoever finds the file finds the exit in it.
fn write_exit(folder: BorrowedFd<'_>, id: &str, report: ExitReport) -> Result<(), Errno> {
    let text = match report {
        ExitReport::Code(code) => format!("code {code}"),
        ExitReport::Signal(signal) => format!("signal {signal}"),
    };
    let temporary = format!("{id}.exit.tmp");
    let file = create(folder, &temporary)?;
    write_all(file.as_fd(), text.as_bytes())?;
    renameat(folder, temporary.as_str(), folder, format!("{id}.exit").as_str())
}

pub fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(0) => return Err(Errno::NOSPC),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
