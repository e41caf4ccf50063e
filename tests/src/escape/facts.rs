//! What the driver outside knows and the probe must not find out.

use std::collections::HashMap;

/// All of it may be missing: then what needs it is skipped.
#[derive(Debug, Default)]
pub struct Facts {
    values: HashMap<String, String>,
    lists: HashMap<String, Vec<String>>,
}

impl Facts {
    /// `KEY=VALUE`; a key that is given again makes a list.
    pub fn from_arguments(arguments: impl Iterator<Item = String>) -> Self {
        let mut facts = Self::default();
        for argument in arguments {
            let Some((key, value)) = argument.split_once('=') else {
                continue;
            };
            facts.values.insert(key.to_owned(), value.to_owned());
            facts
                .lists
                .entry(key.to_owned())
                .or_default()
                .push(value.to_owned());
        }
        facts
    }

    /// `host-name`: of the host. `secret`: a text in an environment, an argument and files of the host.
    /// `abstract`: a socket that listens. `pid`: a process. `profile`. `pids`: the limit that was asked for.
    /// `home`: shown in this profile, so not a leak. `state`: the folder of agentkernel's own state.
    pub fn get(&self, key: &str) -> Option<String> {
        self.values.get(key).cloned()
    }

    /// `file`: paths of files with the secret. `socket`: unix sockets that listen. `read-only`: folders that
    /// are mounted so.
    pub fn all(&self, key: &str) -> Vec<String> {
        self.lists.get(key).cloned().unwrap_or_default()
    }
}
