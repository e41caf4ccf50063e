//! What the tests share: images, a registry that can misbehave, and short ways to pull.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![expect(
    clippy::print_stdout,
    reason = "why a test is skipped, and what a child has to say"
)]

pub mod child;
pub mod image;
pub mod real;
pub mod server;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use agentkernel_image::{Error, Image, Reference, Store, unpack::Limits};
use agentkernel_pull::{Patience, Progress, Pull, Puller, REASON, Registries, RegistrySettings};
use agentkernel_types::ImageEvent;

/// A store of its own, and everything that was told while pulling into it.
pub struct Bench {
    pub folder: tempfile::TempDir,
    pub store: Store,
    pub registries: Registries,
    pub patience: Patience,
    events: Arc<Mutex<Vec<ImageEvent>>>,
}

impl Bench {
    /// Nobody's credentials, and plain HTTP for `hosts`.
    pub fn new(hosts: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let hosts: BTreeMap<_, _> = hosts
            .iter()
            .map(|host| {
                let settings = RegistrySettings {
                    insecure: true,
                    ..RegistrySettings::default()
                };
                ((*host).to_owned(), settings)
            })
            .collect();
        let registries = Registries {
            hosts,
            docker_config: Some(folder.path().join("none.json")),
            parallel_layers: 3,
        };
        Self {
            store: Store::new(folder.path().join("images")),
            folder,
            registries,
            patience: quick(),
            events: Arc::default(),
        }
    }

    pub fn with_config(mut self, json: &str) -> Self {
        let path = self.folder.path().join("config.json");
        std::fs::write(&path, json).expect("writable");
        self.registries.docker_config = Some(path);
        self
    }

    pub fn progress(&self) -> Progress {
        let events = Arc::clone(&self.events);
        Arc::new(move |event| events.lock().expect("no test panics with it").push(event))
    }

    pub fn puller(&self) -> Puller {
        let puller = Puller::new(self.registries.clone()).expect("valid settings");
        puller.with_patience(self.patience)
    }

    pub async fn pull(&self, image: &str) -> Result<Image, Error> {
        let reference = reference(image);
        self.puller()
            .pull(&self.store, &request(&reference), &self.progress())
            .await
    }

    pub fn events(&self) -> Vec<ImageEvent> {
        self.events.lock().expect("no test panics with it").clone()
    }

    pub fn retries(&self) -> usize {
        let retry = |event: &&ImageEvent| matches!(event, ImageEvent::Retry { .. });
        self.events().iter().filter(retry).count()
    }

    /// What lies in the folder of unfinished things.
    pub fn incoming(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.folder.path().join("images/incoming")) else {
            return Vec::new();
        };
        entries.map(|entry| entry.expect("readable").path()).collect()
    }
}

/// Pauses of a few milliseconds, so that five attempts are no wait.
pub fn quick() -> Patience {
    Patience {
        stall: Duration::from_secs(5),
        pause: Duration::from_millis(4),
        longest_pause: Duration::from_secs(2),
        attempts: 5,
    }
}

pub fn reference(image: &str) -> Reference {
    image.parse().expect("a valid name")
}

pub fn request(reference: &Reference) -> Pull<'_> {
    Pull {
        reference,
        platform: None,
        limits: Limits::default(),
        connect_timeout: Duration::from_secs(2),
    }
}

pub fn reason(error: &Error) -> &str {
    let found = error.context().iter().find(|(key, _)| *key == REASON);
    found.map_or("", |(_, value)| value)
}

/// All that a user or a log could see of an error.
pub fn everything(error: &Error) -> String {
    use std::error::Error as _;
    let mut text = format!("{error} {error:?} {:?}", error.hint_text());
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    text
}
