//! `agentkernel version`.

use serde_json::json;

use crate::{args::VersionArgs, failure::Outcome, render};

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub fn version(args: VersionArgs) -> Outcome {
    match args.json {
        true => render::json(&json!({
            "version": VERSION,
            "os": std::env::consts::OS,
            "architecture": std::env::consts::ARCH,
        }))?,
        false => render::text(&format!("agentkernel {VERSION}"))?,
    }
    Ok(0)
}
