//! How registries are reached: data that the configuration fills in.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// What is known about registries beyond their names.
#[derive(Clone, Debug)]
pub struct Registries {
    /// By `HOST` or `HOST:PORT`, as in an image's name; `docker.io` for Docker Hub.
    pub hosts: BTreeMap<String, RegistrySettings>,
    /// The only file that credentials are read from. None: `$REGISTRY_AUTH_FILE`, then `config.json` in
    /// `$DOCKER_CONFIG` or `~/.docker`, then `$XDG_RUNTIME_DIR/containers/auth.json`.
    pub docker_config: Option<PathBuf>,
    /// Layers that are downloaded at once. 0 counts as 1.
    pub parallel_layers: usize,
}

impl Default for Registries {
    fn default() -> Self {
        Self {
            hosts: BTreeMap::new(),
            docker_config: None,
            parallel_layers: 3,
        }
    }
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RegistrySettings {
    /// Plain HTTP.
    pub insecure: bool,
    /// A PEM file with authorities that are trusted beside those of the system.
    pub ca: Option<PathBuf>,
    /// Asked first, in this order: `HOST[:PORT][/PREFIX]`. Their own settings are found by `HOST[:PORT]`.
    pub mirrors: Vec<String>,
}

/// When to wait, and when no longer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Patience {
    /// Without an answer, or without a further byte of it, for so long, a connection counts as broken.
    pub stall: Duration,
    /// Before the first repetition; it doubles every time.
    pub pause: Duration,
    /// The longest pause, also where a registry asks for more.
    pub longest_pause: Duration,
    /// Attempts without progress.
    pub attempts: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            stall: Duration::from_secs(30),
            pause: Duration::from_millis(300),
            longest_pause: Duration::from_secs(30),
            attempts: 5,
        }
    }
}
