//! Backends, connected at the first need and only those that are needed.

use std::sync::Arc;

use agentkernel_backend::{Backend, Descriptor, Error, Result};
use agentkernel_types::ErrorKind;

use crate::Engine;

impl Engine {
    pub(crate) async fn connect(&self, descriptor: &'static Descriptor) -> Result<Arc<dyn Backend>> {
        let connected = || {
            let known = self.shared.connected.lock().expect("no holder panics");
            known
                .iter()
                .find(|backend| backend.descriptor().name == descriptor.name)
                .cloned()
        };
        if let Some(backend) = connected() {
            return Ok(backend);
        }
        let backend = (descriptor.connect)(&self.shared.settings).await?;
        self.shared
            .connected
            .lock()
            .expect("no holder panics")
            .push(backend.clone());
        Ok(backend)
    }

    /// The backend that a record names.
    pub(crate) async fn connect_named(&self, name: &str) -> Result<Arc<dyn Backend>> {
        self.connect(self.descriptor(name)?).await
    }

    pub(crate) fn descriptor(&self, name: &str) -> Result<&'static Descriptor> {
        let known = &self.shared.descriptors;
        known
            .iter()
            .find(|descriptor| descriptor.name == name)
            .copied()
            .ok_or_else(|| {
                let names: Vec<_> = known.iter().map(|descriptor| descriptor.name).collect();
                Error::new(
                    ErrorKind::Unavailable,
                    "connect",
                    format!("there is no backend {name} in this installation"),
                )
                .hint(format!(
                    "available: {}",
                    if names.is_empty() {
                        "none".to_owned()
                    } else {
                        names.join(", ")
                    }
                ))
                .with("field", "backend")
            })
    }
}
