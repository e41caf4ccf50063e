//! Environment files in the format that Docker users know.
//!
//! One variable a line: `NAME=VALUE`, or `NAME` alone for the caller's own value. Blanks before the
//! name, empty lines and lines that begin with `#` do not count. A value is taken as it is: quotes and
//! trailing blanks belong to it.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use agentkernel_types::{EnvVar, ParseError};

use super::environment::{EnvironmentEntry, Lookup};

/// More than any list of variables, and little enough to be read at once.
const MAX_BYTES: u64 = 1 << 20;

/// What is wrong, and where.
#[derive(Debug)]
pub enum EnvFileError {
    Read {
        path: PathBuf,
        source: io::Error,
    },
    TooLarge {
        path: PathBuf,
    },
    Line {
        path: PathBuf,
        line: usize,
        problem: ParseError,
    },
    Flag(ParseError),
}

impl fmt::Display for EnvFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Self::TooLarge { path } => write!(
                f,
                "{} is larger than 1 MiB: no environment file is",
                path.display()
            ),
            Self::Line { path, line, problem } => write!(f, "{}:{line}: {problem}", path.display()),
            Self::Flag(problem) => problem.fmt(f),
        }
    }
}

impl std::error::Error for EnvFileError {}

impl From<ParseError> for EnvFileError {
    fn from(problem: ParseError) -> Self {
        Self::Flag(problem)
    }
}

pub(super) fn read(path: &Path, lookup: Lookup<'_>) -> Result<Vec<EnvVar>, EnvFileError> {
    let failed = |source| EnvFileError::Read {
        path: path.to_owned(),
        source,
    };
    let mut content = Vec::new();
    // Not `fs::read`: a pipe (process substitution) has no size, and /dev/zero has no end.
    io::Read::read_to_end(
        &mut io::Read::take(fs::File::open(path).map_err(failed)?, MAX_BYTES + 1),
        &mut content,
    )
    .map_err(failed)?;
    if content.len() as u64 > MAX_BYTES {
        return Err(EnvFileError::TooLarge {
            path: path.to_owned(),
        });
    }
    parse(&content, lookup).map_err(|(line, problem)| EnvFileError::Line {
        path: path.to_owned(),
        line,
        problem,
    })
}

/// The error has the number of its line, from 1.
fn parse(content: &[u8], lookup: Lookup<'_>) -> Result<Vec<EnvVar>, (usize, ParseError)> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let mut variables = Vec::new();
    for (index, line) in content.split(|&byte| byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        variables.extend(parse_line(line, lookup).map_err(|problem| (index + 1, problem))?);
    }
    Ok(variables)
}

fn parse_line(line: &[u8], lookup: Lookup<'_>) -> Result<Option<EnvVar>, ParseError> {
    let text = str::from_utf8(line).map_err(|_| ParseError::new("the line is not UTF-8"))?;
    let text = text.trim_start_matches([' ', '\t']);
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let name = text.split('=').next().unwrap_or(text);
    if name.contains(char::is_whitespace) {
        return Err(ParseError::new(format!(
            "the name {name:?} has a blank in it: write NAME=VALUE"
        )));
    }
    text.parse::<EnvironmentEntry>()?.resolve(lookup)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(content: &[u8]) -> Result<Vec<String>, (usize, String)> {
        parse(content, &|name| (name == "HERE").then(|| "from caller".into()))
            .map(|variables| {
                variables
                    .iter()
                    .map(|v| format!("{}={}", v.name(), v.value()))
                    .collect()
            })
            .map_err(|(line, problem)| (line, problem.0))
    }

    #[test]
    fn the_format_is_the_one_of_docker() {
        for (content, expected) in [
            ("", vec![]),
            ("A=1", vec!["A=1"]),
            ("A=1\r\nB=2\r\n", vec!["A=1", "B=2"]),
            ("# no\n\n  # neither\n\tA=1", vec!["A=1"]),
            ("A=\"quoted\" # kept ", vec!["A=\"quoted\" # kept "]),
            ("A=b=c", vec!["A=b=c"]),
            ("A=", vec!["A="]),
            ("HERE\nNOT_HERE\n", vec!["HERE=from caller"]),
            ("\u{feff}A=1", vec!["A=1"]),
        ] {
            assert_eq!(pairs(content.as_bytes()).unwrap(), expected, "{content:?}");
        }
    }

    #[test]
    fn an_error_names_its_line() {
        assert_eq!(pairs(b"A=1\nB C=2").unwrap_err().0, 2);
        assert_eq!(pairs(b"A=1\n\n=2").unwrap_err().0, 3);
        assert_eq!(pairs(b"export A=1").unwrap_err().0, 1);
        assert_eq!(
            pairs(b"A=\xff").unwrap_err(),
            (1, "the line is not UTF-8".to_owned())
        );
        assert_eq!(pairs(b"A=a\0b").unwrap_err().0, 1);
    }

    #[test]
    fn a_file_without_an_end_is_refused() {
        let error = read(Path::new("/dev/zero"), &|_| None).unwrap_err();
        assert!(matches!(error, EnvFileError::TooLarge { .. }), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("/nowhere/env"), &|_| None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("/nowhere/env"), "{error}");
    }
}
