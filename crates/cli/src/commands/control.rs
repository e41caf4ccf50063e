//! Who answers: the one place where the engine is chosen and built.

use std::sync::Arc;

use agentkernel_control::Control;
use agentkernel_engine::{Engine, EngineOptions};

use crate::failure::Failure;

pub fn control() -> Result<Arc<dyn Control>, Failure> {
    let paths = agentkernel_store::Paths::from_env().map_err(|e| agentkernel_control::Error::new(e.kind(), "control", e.to_string()))?;
    Ok(Arc::new(Engine::new(EngineOptions { paths, descriptors: agentkernel_registry::descriptors() })))
}
