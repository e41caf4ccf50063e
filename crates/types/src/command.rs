//! A command to run and what is said to it while it runs.

use std::{ffi::OsString, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{GuestPath, ParseError};

/// An argument vector that is not empty. Bytes are passed as they are, never through a shell.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Command(Vec<OsString>);

impl Command {
    pub fn new<I, S>(argv: I) -> Result<Self, ParseError>
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        let argv: Vec<OsString> = argv.into_iter().map(Into::into).collect();
        match argv.first() {
            None => Err(ParseError::new("no command was given")),
            Some(program) if program.is_empty() => Err(ParseError::new("the command's name is empty")),
            Some(_) if argv.iter().any(|arg| arg.as_encoded_bytes().contains(&0)) => {
                Err(ParseError::new("an argument has a NUL character"))
            }
            Some(_) => Ok(Self(argv)),
        }
    }

    pub fn program(&self) -> &OsString {
        &self.0[0]
    }

    pub fn argv(&self) -> &[OsString] {
        &self.0
    }
}

/// One environment variable: the name has no `=` and no NUL and is not empty, the value no NUL.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct EnvVar {
    name: String,
    value: String,
}

impl EnvVar {
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Result<Self, ParseError> {
        let (name, value) = (name.into(), value.into());
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(ParseError::new(format!(
                "invalid environment variable name {name:?}"
            )));
        }
        if value.contains('\0') {
            return Err(ParseError::new(format!(
                "the environment variable {name} has a NUL character"
            )));
        }
        Ok(Self { name, value })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn value(&self) -> &str {
        &self.value
    }
}

/// A terminal's size in character cells.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct TerminalSize {
    pub rows: u16,
    pub columns: u16,
}

/// A signal number, 1 to 64, as Linux on x86-64 and aarch64 has them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signal(u8);

impl Signal {
    pub const HUP: Self = Self(1);
    pub const INT: Self = Self(2);
    pub const QUIT: Self = Self(3);
    pub const KILL: Self = Self(9);
    pub const USR1: Self = Self(10);
    pub const USR2: Self = Self(12);
    pub const TERM: Self = Self(15);
    pub const CONT: Self = Self(18);
    pub const STOP: Self = Self(19);

    pub fn new(number: i32) -> Result<Self, ParseError> {
        match u8::try_from(number) {
            Ok(number @ 1..=64) => Ok(Self(number)),
            _ => Err(ParseError::new(format!("invalid signal {number}: use 1 to 64"))),
        }
    }

    pub const fn number(self) -> u8 {
        self.0
    }
}

/// Where the command's standard input comes from.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StdinMode {
    /// Empty: end of file at once.
    #[default]
    Null,
    /// What the caller sends.
    Piped,
}

/// The name of a detached command within its sandbox: 8 lower-case hexadecimal digits.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExecId(String);

impl ExecId {
    pub fn from_random(bits: u32) -> Self {
        Self(format!("{bits:08x}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ExecId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.len() == 8 && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::new(format!(
            "invalid exec id {text:?}: an id has 8 hexadecimal digits"
        )))
    }
}

impl fmt::Display for ExecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ExecId {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<ExecId> for String {
    fn from(id: ExecId) -> Self {
        id.0
    }
}

/// One command in a running sandbox.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExecSpec {
    pub command: Command,
    /// Added to the sandbox's own environment; a later entry wins.
    pub env: Vec<EnvVar>,
    /// The sandbox's own working directory if none is given.
    pub workdir: Option<GuestPath>,
    /// A pseudo-terminal of this size. Then stdout and stderr are one stream (stdout).
    pub terminal: Option<TerminalSize>,
    pub stdin: StdinMode,
    /// Set: the command goes on when the caller leaves, and its output is kept under this id.
    pub detach: Option<ExecId>,
}

impl ExecSpec {
    pub fn new(command: Command) -> Self {
        Self {
            command,
            env: Vec::new(),
            workdir: None,
            terminal: None,
            stdin: StdinMode::Null,
            detach: None,
        }
    }
}
