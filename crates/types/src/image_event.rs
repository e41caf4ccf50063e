//! What happens while an image is fetched: for a progress display and for logs.

use serde::{Deserialize, Serialize};

use crate::Digest;

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum ImageEvent {
    /// A source is being asked: a registry, or an engine of this machine.
    Asking { image: String, source: String },
    /// The layers are known now, bottom first. Sizes are those of the compressed layers, 0 where unknown.
    Found {
        image: String,
        layers: Vec<(Digest, u64)>,
    },
    /// By the compressed layer's digest.
    Layer { digest: Digest, state: LayerState },
    /// Trying again after a pause.
    Retry {
        what: String,
        reason: String,
        pause_ms: u64,
    },
    /// A line of what an engine says while it builds.
    Said { text: String },
    /// The image is in the store.
    Ready { image: String, id: Digest },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum LayerState {
    /// It was in the store already.
    Present,
    /// Another process fetches it.
    Waiting,
    Downloading {
        bytes: u64,
        total: u64,
    },
    Unpacking,
    Done,
}
