//! `-e` and `--env-file`: what a command finds in its environment.

use std::{ffi::OsString, path::PathBuf, str::FromStr};

use agentkernel_types::{EnvVar, ParseError};
use clap::Args;

use super::env_file::{self, EnvFileError};

#[derive(Args, Debug, Default)]
pub struct EnvironmentArgs {
    /// Set a variable, or pass on the one of this name if it is set here
    #[arg(short, long = "env", value_name = "NAME[=VALUE]")]
    pub env: Vec<EnvironmentEntry>,
    /// Read variables from a file: NAME=VALUE or NAME a line, # for comments
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
}

/// One `-e`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EnvironmentEntry {
    Set(EnvVar),
    /// The caller's own value; nothing if the caller has none.
    Inherit(String),
}

impl FromStr for EnvironmentEntry {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.split_once('=') {
            Some((name, value)) => EnvVar::new(name, value).map(Self::Set),
            // Made only to be checked: the value comes later.
            None => EnvVar::new(text, "").map(|variable| Self::Inherit(variable.name().to_owned())),
        }
    }
}

impl EnvironmentEntry {
    /// The variable, where `lookup` gives the caller's own values.
    pub(super) fn resolve(&self, lookup: Lookup<'_>) -> Result<Option<EnvVar>, ParseError> {
        let name = match self {
            Self::Set(variable) => return Ok(Some(variable.clone())),
            Self::Inherit(name) => name,
        };
        let Some(value) = lookup(name) else {
            return Ok(None);
        };
        let value = value
            .into_string()
            .map_err(|_| ParseError::new(format!("the value of {name} in this environment is not UTF-8")))?;
        EnvVar::new(name.clone(), value).map(Some)
    }
}

/// How a value of the caller's environment is found.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl EnvironmentArgs {
    /// Files first, then flags: a later entry wins.
    pub fn resolve(&self) -> Result<Vec<EnvVar>, EnvFileError> {
        self.resolve_with(&|name| std::env::var_os(name))
    }

    fn resolve_with(&self, lookup: Lookup<'_>) -> Result<Vec<EnvVar>, EnvFileError> {
        let mut variables = Vec::new();
        for path in &self.env_file {
            variables.extend(env_file::read(path, lookup)?);
        }
        for entry in &self.env {
            variables.extend(entry.resolve(lookup)?);
        }
        Ok(variables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> Result<Option<EnvVar>, ParseError> {
        text.parse::<EnvironmentEntry>()?.resolve(&|name| match name {
            "HOME" => Some("/home/me".into()),
            "EMPTY" => Some("".into()),
            "BYTES" => Some(std::os::unix::ffi::OsStringExt::from_vec(vec![0xff])),
            _ => None,
        })
    }

    fn variable(name: &str, value: &str) -> Option<EnvVar> {
        Some(EnvVar::new(name, value).unwrap())
    }

    #[test]
    fn a_value_may_hold_anything_and_a_name_alone_takes_the_callers() {
        assert_eq!(resolve("A=1").unwrap(), variable("A", "1"));
        assert_eq!(resolve("A=").unwrap(), variable("A", ""));
        assert_eq!(resolve("A=b=c d").unwrap(), variable("A", "b=c d"));
        assert_eq!(resolve("HOME").unwrap(), variable("HOME", "/home/me"));
        assert_eq!(resolve("EMPTY").unwrap(), variable("EMPTY", ""));
        assert_eq!(resolve("UNSET").unwrap(), None);
    }

    #[test]
    fn what_cannot_be_passed_is_refused_by_name() {
        assert!(resolve("=1").is_err());
        assert!(resolve("").is_err());
        assert!(resolve("BYTES").unwrap_err().0.contains("BYTES"));
    }

    #[test]
    fn flags_come_after_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("env");
        std::fs::write(&path, "A=file\nB=file\n").unwrap();
        let arguments = EnvironmentArgs {
            env: vec!["A=flag".parse().unwrap()],
            env_file: vec![path],
        };
        let pairs: Vec<_> = arguments
            .resolve()
            .unwrap()
            .iter()
            .map(|v| format!("{}={}", v.name(), v.value()))
            .collect();
        assert_eq!(pairs, ["A=file", "B=file", "A=flag"]);
    }
}
