//! Images of our own store: found, fetched, and kept as long as somebody needs them.

mod command;
mod describe;
mod ensure;
mod memory;
mod operations;
mod resolve;

use agentkernel_backend::{Error, Result};
use agentkernel_image::Store;
use agentkernel_types::{Digest, ErrorKind, ImageRef, SandboxSpec};

pub(crate) use self::{
    command::refuse_nothing_to_run,
    resolve::{Found, Intent},
};
use crate::{Engine, failure::from_store};

impl Engine {
    /// Opening it touches nothing.
    pub(crate) fn image_store(&self) -> Store {
        Store::new(&self.shared.settings.images_dir)
    }

    /// The images of kept sandboxes: they are in use also while nothing runs.
    pub(crate) fn kept_images(&self) -> Result<Vec<Digest>> {
        let entries = self.store()?.list().map_err(from_store)?;
        let mut kept = Vec::new();
        for entry in entries {
            // A record that cannot be read may speak of any image.
            let record = entry.record.map_err(from_store)?;
            kept.extend(record.spec.image_id);
        }
        Ok(kept)
    }

    /// The same where nothing depends on it: a record that cannot be read is `doctor`'s affair.
    pub(crate) fn images_known_to_be_kept(&self) -> Vec<Digest> {
        let entries = self.store().and_then(|store| store.list().map_err(from_store));
        let records = entries.unwrap_or_default().into_iter();
        records
            .filter_map(|entry| entry.record.ok()?.spec.image_id)
            .collect()
    }

    /// Why a sandbox cannot start: if its image was taken away, which one that is and how it comes back.
    pub(crate) fn without_its_image(&self, spec: &SandboxSpec, error: Error) -> Error {
        let (Some(id), ErrorKind::NotFound) = (&spec.image_id, error.kind()) else {
            return error;
        };
        if !matches!(self.image_store().get(id), Ok(None)) {
            return error;
        }
        let (short, image) = (id.short(), &spec.image);
        let hint = match image {
            ImageRef::Registry(name) if name.parse::<Digest>().is_err() => {
                format!(
                    "get it again: agentkernel image pull {name} (or import it, if the name means another one now)"
                )
            }
            _ => "get it again: agentkernel image import FILE".to_owned(),
        };
        let message = format!("the sandbox's image {image} ({short}) is not in the store any more");
        Error::new(ErrorKind::NotFound, "start", message)
            .with("field", "image")
            .hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use agentkernel_store::Paths;

    use super::*;
    use crate::EngineOptions;

    #[test]
    fn a_sandbox_whose_image_has_gone_says_how_it_comes_back() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let below = |name| folder.path().join(name);
        let paths = Paths {
            data: below("data"),
            cache: below("cache"),
            runtime: below("run"),
            config: below("config"),
        };
        let engine = Engine::new(EngineOptions {
            paths,
            descriptors: Vec::new(),
            network_program: Vec::new(),
        });
        let spec: SandboxSpec = serde_json::from_value(serde_json::json!({
            "id": "000000000000",
            "lifetime": "kept",
            "image": "tool:1",
            "image_id": Digest::from_sha256([1; 32]),
            "profile": "moderate",
            "root": "writable",
            "network": "none",
            "mounts": [],
            "env": [],
            "resources": {},
        }))
        .expect("a specification");
        let absent = || Error::new(ErrorKind::NotFound, "start", "something is missing");
        let error = engine.without_its_image(&spec, absent());
        assert!(error.message().contains("tool:1 (010101010101)"), "{error}");
        assert!(
            error
                .hint_text()
                .is_some_and(|hint| hint.contains("image pull tool:1"))
        );

        let other = Error::new(ErrorKind::Denied, "start", "it may not");
        assert_eq!(engine.without_its_image(&spec, other).message(), "it may not");
        let of_the_host = SandboxSpec {
            image_id: None,
            ..spec
        };
        let error = engine.without_its_image(&of_the_host, absent());
        assert_eq!(error.message(), "something is missing");
    }
}
