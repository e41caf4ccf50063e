//! What an image says about how it is to be run.

mod command;
mod json;

use agentkernel_types::{Digest, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The part of an OCI image configuration that we obey or show.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// Each name once; the last value that the configuration has for it.
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

/// A configuration file, read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParsedConfig {
    /// The digest of the JSON, byte for byte: the image's id.
    pub id: Digest,
    pub config: ImageConfig,
    /// The layers' uncompressed archives, bottom first: 1 to 127.
    pub diff_ids: Vec<Digest>,
}

impl ImageConfig {
    /// Bytes of the JSON.
    pub const MAX_BYTES: usize = 8 << 20;
    /// A limit of overlayfs' option string, and Docker's.
    pub const MAX_LAYERS: usize = 127;

    /// Reads the JSON of OCI and of Docker. Unknown fields and nulls are fine; what is missing is empty.
    /// Refused are layers that nobody could unpack. Whether it can run here is [`ImageConfig::check_platform`].
    pub fn parse(json: &[u8]) -> Result<ParsedConfig> {
        json::parse(json)
    }

    /// The configuration as OCI JSON, for an image that came without one.
    pub fn to_json(&self, diff_ids: &[Digest]) -> Vec<u8> {
        json::write(self, diff_ids)
    }

    /// Refuses an image for another operating system or processor.
    pub fn check_platform(&self) -> Result<()> {
        let host = host_architecture();
        // Images made by hand say neither; they are meant for the machine that they were made on.
        let os = matches!(self.os.as_str(), "" | "linux");
        let architecture = self.architecture.is_empty() || self.architecture == host;
        if os && architecture {
            return Ok(());
        }
        let (os, architecture) = (or(&self.os, "linux"), or(&self.architecture, "unknown"));
        Err(Error::new(
            ErrorKind::Unsupported,
            "image",
            format!("the image is for {os}/{architecture}, and this machine is linux/{host}"),
        )
        .with("field", "image")
        .hint(format!("use an image that is made for linux/{host}")))
    }
}

/// The architecture of this machine, in the words of OCI (which are those of Go).
pub fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

fn or<'a>(text: &'a str, fallback: &'a str) -> &'a str {
    if text.is_empty() { fallback } else { text }
}
