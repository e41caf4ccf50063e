//! What the agent knows of its sandbox, apart from the connections.

use std::{collections::BTreeMap, ffi::CString, os::fd::OwnedFd, time::Instant};

use agentkernel_protocol::Boot;

use crate::{
    detached::Detached,
    exec::Launcher,
    failure::{Failure, Result, shown},
    shutdown::Shutdown,
};

/// Name to `NAME=VALUE`.
pub type Environment = BTreeMap<Vec<u8>, CString>;

pub struct Sandbox {
    /// Every path of the file service is resolved beneath it.
    pub root: OwnedFd,
    /// This is the first process of its namespace.
    pub first: bool,
    pub started: Instant,
    /// The folder for the output of detached commands, if one was passed.
    pub logs: Option<OwnedFd>,
    /// None until `Boot`.
    pub booted: Option<Booted>,
    pub launcher: Launcher,
    pub detached: Vec<Detached>,
    pub shutdown: Option<Shutdown>,
    /// Every connection knows of the shutdown.
    pub is_announced: bool,
    /// The owner to whom this sandbox is tied has gone.
    pub is_orphaned: bool,
    /// For bytes on their way from a pipe into a log; empty until the first.
    pub scratch: Vec<u8>,
}

pub struct Booted {
    pub environment: Environment,
    pub workdir: CString,
    pub tied_to_owner: bool,
    pub listen: bool,
    pub keep_logs: bool,
}

impl Sandbox {
    pub fn new(root: OwnedFd, first: bool, started: Instant, logs: Option<OwnedFd>) -> Self {
        Self {
            root,
            first,
            started,
            logs,
            booted: None,
            launcher: Launcher::default(),
            detached: Vec::new(),
            shutdown: None,
            is_announced: false,
            is_orphaned: false,
            scratch: Vec::new(),
        }
    }
}

impl Booted {
    pub fn new(boot: &Boot) -> Result<Self> {
        let mut environment = Environment::new();
        extend(&mut environment, &boot.env)?;
        let workdir = if boot.workdir.is_empty() {
            b"/".to_vec()
        } else {
            boot.workdir.to_vec()
        };
        Ok(Self {
            environment,
            workdir: absolute(workdir)?,
            tied_to_owner: boot.tied_to_owner,
            listen: boot.listen,
            keep_logs: boot.keep_logs,
        })
    }
}

/// The last of equal names wins.
pub fn extend(environment: &mut Environment, entries: &[impl AsRef<[u8]>]) -> Result<()> {
    for entry in entries {
        let entry = entry.as_ref();
        let end = entry.iter().position(|&byte| byte == b'=').filter(|&end| end > 0);
        match (end, CString::new(entry)) {
            (Some(end), Ok(text)) => environment.insert(entry[..end].to_vec(), text),
            _ => {
                return Err(Failure::invalid(format!(
                    "invalid environment variable {}",
                    shown(entry)
                )));
            }
        };
    }
    Ok(())
}

/// A folder to start in.
pub fn absolute(path: Vec<u8>) -> Result<CString> {
    if path.first() != Some(&b'/') {
        return Err(Failure::invalid(format!(
            "the working directory {} is not absolute",
            shown(&path)
        )));
    }
    CString::new(path).map_err(|_| Failure::invalid("the working directory has a NUL character"))
}
