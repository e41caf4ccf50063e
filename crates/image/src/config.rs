//! What an image says about how it is to be run.

use serde::{Deserialize, Serialize};

/// The part of an OCI image configuration that we obey or show.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    pub env: Vec<(String, String)>,
    pub workdir: Option<String>,
    /// As written: `user`, `user:group`, names or numbers.
    pub user: Option<String>,
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    pub labels: Vec<(String, String)>,
    pub exposed_ports: Vec<String>,
    pub volumes: Vec<String>,
    pub stop_signal: Option<String>,
    pub os: String,
    pub architecture: String,
    pub variant: Option<String>,
    /// RFC 3339, as written.
    pub created: Option<String>,
}
