//! The composition root: which engine answers, and with which backends.

use std::sync::Arc;

use agentkernel_control::{Control, Error, Result};
use agentkernel_engine::{Engine, EngineOptions};
use agentkernel_store::Paths;

/// The engine in this process. Making one touches nothing.
pub fn connect() -> Result<Arc<dyn Control>> {
    let paths = Paths::from_env().map_err(cannot_place)?;
    Ok(Arc::new(Engine::new(EngineOptions {
        paths,
        descriptors: agentkernel_registry::descriptors(),
        network_program: network_program(),
    })))
}

/// This program, whatever has become of its file by now, with the word that [`crate::run`] knows.
fn network_program() -> Vec<std::ffi::OsString> {
    vec!["/proc/self/exe".into(), agentkernel_registry::NETWORK_VERB.into()]
}

/// Kind and hint are kept.
pub fn cannot_place(error: agentkernel_store::Error) -> Error {
    let mut failure = Error::new(error.kind(), "store", error.to_string());
    if let Some(hint) = error.hint() {
        failure = failure.hint(hint);
    }
    match std::error::Error::source(&error) {
        Some(source) => failure.because(source.to_string()),
        None => failure,
    }
}
