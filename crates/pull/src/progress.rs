//! Events for the caller, not more of them than a display can show.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use agentkernel_types::{Digest, ImageEvent, LayerState};

pub type Progress = Arc<dyn Fn(ImageEvent) + Send + Sync>;

const EVERY: Duration = Duration::from_millis(100);

/// The events of one layer.
pub(crate) struct LayerProgress {
    progress: Progress,
    digest: Digest,
    told: Option<Instant>,
}

impl LayerProgress {
    pub(crate) fn new(progress: &Progress, digest: &Digest) -> Self {
        Self {
            progress: Arc::clone(progress),
            digest: digest.clone(),
            told: None,
        }
    }

    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    pub(crate) fn state(&mut self, state: LayerState) {
        self.told = None;
        (self.progress)(ImageEvent::Layer {
            digest: self.digest.clone(),
            state,
        });
    }

    /// Tells the first and the last one, and ten per second between them.
    pub(crate) fn downloaded(&mut self, bytes: u64, total: u64) {
        let due = self.told.is_none_or(|told| told.elapsed() >= EVERY);
        if due || bytes == total {
            self.state(LayerState::Downloading { bytes, total });
            self.told = Some(Instant::now());
        }
    }
}
