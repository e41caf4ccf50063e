//! The programs that the cases run, said once and written for a POSIX shell or for the fake.

use std::ffi::OsString;

use agentkernel_types::Command;

/// What a case wants to be executed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Program {
    /// Ends with this code.
    Exit(u8),
    /// Sends itself this signal.
    SignalSelf(u8),
    /// Prints each argument, each followed by a NUL.
    Arguments(Vec<OsString>),
    /// Prints the value of the variable, or `<unset>`.
    Variable(String),
    /// Prints `NAME=value` lines.
    Environment,
    /// Prints the working directory and a newline.
    Folder,
    /// Copies stdin to stdout.
    Cat,
    /// Copies a file to stdout; fails if it cannot be read.
    CatFile(String),
    /// Does nothing for a very long time.
    Sleep,
    /// Writes so many bytes of [`Program::pattern`] to stdout and ends at once with the code.
    Emit { bytes: usize, code: u8 },
    /// Writes one text to each stream.
    Say {
        stdout: String,
        stderr: String,
        code: u8,
    },
    /// Writes `o1`, `e1`, `o2`, `e2`, ... as lines to stdout and stderr in turn.
    Alternate(u32),
    /// Prints the number of bytes of stdin.
    Count,
    /// Prints `ready`, copies one line of stdin to stdout, goes on to sleep.
    EchoLineThenSleep,
    /// Starts a child that sleeps, prints its process id, waits for it.
    Parent,
    /// Whether the process id exists: code 0 or 1.
    Alive(u32),
    /// Prints `ready`; when this signal comes prints `caught` and ends with code 7.
    OnSignal(u8),
    /// Code 0 if stdin, stdout and stderr are a terminal.
    IsTerminal,
    /// Prints `ROWS COLUMNS` of the terminal.
    Size,
    /// Prints `ready`; when the terminal's size changes prints the new one and ends.
    OnResize,
    /// Writes the file; fails if it cannot.
    Write { path: String, text: String },
    /// Makes a symbolic link.
    Link { target: String, path: String },
    /// Whether the path exists: code 0 or 1.
    Exists(String),
    /// Prints the names of the network interfaces, one a line.
    Interfaces,
    /// Prints what the service at this port of the host's loopback says; fails if it cannot be reached.
    FetchFromHost(u16),
    /// Prints the user's number.
    UserNumber,
    /// Takes memory until something ends it.
    EatMemory,
    /// Starts so many processes that stay; code 0 only if all were started.
    SpawnMany(u32),
    /// Writes so many bytes to the file; code 0 only if all were written.
    Fill { path: String, bytes: u64 },
}

impl Program {
    /// What [`Program::Emit`] repeats.
    pub const PATTERN: &'static [u8] = b"0123456789abcde\n";

    pub fn pattern(bytes: usize) -> Vec<u8> {
        let mut pattern = Self::PATTERN.repeat(bytes.div_ceil(Self::PATTERN.len()));
        pattern.truncate(bytes);
        pattern
    }

    /// For a POSIX shell with coreutils.
    pub fn posix(&self) -> Command {
        let words = self.words();
        // Each script finds the words after the program's name as $1, $2, ...
        let mut argv: Vec<OsString> = vec!["sh".into(), "-c".into(), self.script().into(), "sh".into()];
        argv.extend(words.into_iter().skip(1));
        Command::new(argv).expect("the name is not empty and no word has a NUL")
    }

    /// For the fake: the name of the program and its words.
    pub fn plain(&self) -> Command {
        Command::new(self.words()).expect("the name is not empty and no word has a NUL")
    }

    fn script(&self) -> &'static str {
        match self {
            Self::Exit(_) => "exit $1",
            Self::SignalSelf(_) => "kill -$1 $$; sleep 1000",
            Self::Arguments(arguments) if arguments.is_empty() => ":",
            Self::Arguments(_) => "printf '%s\\000' \"$@\"",
            Self::Variable(_) => "eval \"printf %s \\\"\\${$1-<unset>}\\\"\"",
            Self::Environment => "env",
            Self::Folder => "pwd",
            Self::Cat => "exec cat",
            Self::CatFile(_) => "exec cat \"$1\"",
            Self::Sleep => "exec sleep 1000",
            Self::Emit { .. } => "yes 0123456789abcde | head -c $1; exit $2",
            Self::Say { .. } => "printf %s \"$1\"; printf %s \"$2\" >&2; exit $3",
            Self::Alternate(_) => "i=1; while [ $i -le $1 ]; do echo o$i; echo e$i >&2; i=$((i + 1)); done",
            Self::Count => "exec wc -c",
            Self::EchoLineThenSleep => "echo ready; read -r line; echo \"$line\"; exec sleep 1000",
            Self::Parent => "sleep 1000 & echo $!; wait",
            Self::Alive(_) => "kill -0 $1 2>/dev/null",
            Self::OnSignal(_) => {
                "trap 'echo caught; exit 7' $1; echo ready; while :; do sleep 1000 & wait $!; done"
            }
            Self::IsTerminal => "test -t 0 && test -t 1 && test -t 2",
            Self::Size => "stty size",
            Self::OnResize => {
                "trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 1000 & wait $!; done"
            }
            Self::Write { .. } => "printf %s \"$2\" > \"$1\"",
            Self::Link { .. } => "exec ln -s \"$1\" \"$2\"",
            Self::Exists(_) => "test -e \"$1\"",
            Self::Interfaces => "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '",
            Self::FetchFromHost(_) => {
                // What a Debian host has, and what busybox has.
                "if command -v bash >/dev/null; then exec bash -c \
                 'exec 3<>/dev/tcp/host.agentkernel.internal/$0 && cat <&3' $1; fi; \
                 exec nc host.agentkernel.internal $1 </dev/null"
            }
            Self::UserNumber => "id -u",
            Self::EatMemory => "exec tail /dev/zero",
            Self::SpawnMany(_) => "i=0; while [ $i -lt $1 ]; do sleep 1000 & i=$((i + 1)); done; exit 0",
            Self::Fill { .. } => "head -c $2 /dev/zero > \"$1\"",
        }
    }

    fn words(&self) -> Vec<OsString> {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        match self {
            Self::Exit(code) => words(&["exit", &code.to_string()]),
            Self::SignalSelf(signal) => words(&["signal", &signal.to_string()]),
            Self::Arguments(arguments) => std::iter::once("arguments".into())
                .chain(arguments.iter().cloned())
                .collect(),
            Self::Variable(name) => words(&["variable", name]),
            Self::Environment => words(&["env"]),
            Self::Folder => words(&["pwd"]),
            Self::Cat => words(&["cat"]),
            Self::CatFile(path) => words(&["cat", path]),
            Self::Sleep => words(&["sleep", "1000"]),
            Self::Emit { bytes, code } => words(&["emit", &bytes.to_string(), &code.to_string()]),
            Self::Say { stdout, stderr, code } => words(&["say", stdout, stderr, &code.to_string()]),
            Self::Alternate(lines) => words(&["alternate", &lines.to_string()]),
            Self::Count => words(&["count"]),
            Self::EchoLineThenSleep => words(&["echo-line"]),
            Self::Parent => words(&["parent"]),
            Self::Alive(process) => words(&["alive", &process.to_string()]),
            Self::OnSignal(signal) => words(&["on-signal", &signal.to_string()]),
            Self::IsTerminal => words(&["is-terminal"]),
            Self::Size => words(&["size"]),
            Self::OnResize => words(&["on-resize"]),
            Self::Write { path, text } => words(&["write", path, text]),
            Self::Link { target, path } => words(&["link", target, path]),
            Self::Exists(path) => words(&["exists", path]),
            Self::Interfaces => words(&["interfaces"]),
            Self::FetchFromHost(port) => words(&["fetch", &port.to_string()]),
            Self::UserNumber => words(&["user-number"]),
            Self::EatMemory => words(&["eat-memory"]),
            Self::SpawnMany(number) => words(&["spawn-many", &number.to_string()]),
            Self::Fill { path, bytes } => words(&["fill", path, &bytes.to_string()]),
        }
    }
}
