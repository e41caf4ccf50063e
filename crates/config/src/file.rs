//! Reads one configuration file: a regular file, at most 1 MiB, UTF-8, of an owner who may be believed.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read as _},
    ops::Range,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use agentkernel_types::ErrorKind;
use rustix::fs::OFlags;

use crate::{MAX_FILE_BYTES, error::ConfigError, problem::display};

#[derive(Debug)]
pub(crate) struct SourceFile {
    pub path: PathBuf,
    pub text: String,
}

/// Whose word a file is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Trust {
    /// The user's own: it may loosen, so nobody else may be able to write it.
    User,
    /// Found while walking up: nobody named it, so it must at least belong to the caller or root.
    Found,
    /// Named on the command line.
    Named,
}

impl SourceFile {
    /// The line of a byte offset, counted from 1.
    pub fn line_of(&self, offset: usize) -> usize {
        let end = offset.min(self.text.len());
        1 + self.text.as_bytes()[..end]
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count()
    }

    pub fn line_of_span(&self, span: &Range<usize>) -> usize {
        self.line_of(span.start)
    }
}

pub(crate) fn read(path: &Path, trust: Trust) -> Result<SourceFile, ConfigError> {
    let name = display(path);
    // Without O_NONBLOCK a FIFO in a cloned repository would hang the command.
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(path);
    let file = opened.map_err(|error| cannot_read(&name, &error))?;
    let metadata = file.metadata().map_err(|error| cannot_read(&name, &error))?;
    accept(&name, &metadata, trust)?;
    let bytes = read_bounded(&file).map_err(|error| cannot_read(&name, &error))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large(&name));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        ConfigError::invalid(format!(
            "{name} is not UTF-8: the first wrong byte is at offset {valid}"
        ))
    })?;
    Ok(SourceFile {
        path: path.to_owned(),
        text,
    })
}

fn accept(name: &str, metadata: &Metadata, trust: Trust) -> Result<(), ConfigError> {
    if !metadata.is_file() {
        return Err(ConfigError::invalid(format!("{name} is not a regular file")));
    }
    let (owner, caller) = (metadata.uid(), caller());
    if trust != Trust::Named && owner != caller && owner != 0 {
        let hint = match trust {
            Trust::Found => format!("if you trust it, name it: --config {name}"),
            _ => format!("make it yours: chown {caller} {name}"),
        };
        let message = format!("{name} belongs to user {owner}, neither to you (user {caller}) nor to root");
        return Err(ConfigError::new(ErrorKind::Denied, message).with_hint(hint));
    }
    if trust == Trust::User && metadata.mode() & 0o002 != 0 {
        let message = format!("{name} can be written by every user of this machine");
        return Err(ConfigError::new(ErrorKind::Denied, message).with_hint(format!("chmod o-w {name}")));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(too_large(name));
    }
    Ok(())
}

/// One byte more than allowed, so that a file that grows is still found out.
fn read_bounded(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn too_large(name: &str) -> ConfigError {
    ConfigError::invalid(format!("{name} is larger than 1 MiB"))
}

fn cannot_read(name: &str, error: &io::Error) -> ConfigError {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        _ => ErrorKind::InvalidSpec,
    };
    ConfigError::new(kind, format!("cannot read {name}: {error}"))
}

pub(crate) fn caller() -> u32 {
    rustix::process::geteuid().as_raw()
}
