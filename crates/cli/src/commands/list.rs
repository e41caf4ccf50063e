//! `agentkernel list`.

use serde_json::json;

use crate::{args::ListArgs, failure::Outcome, render};

pub async fn list(args: ListArgs) -> Outcome {
    let sandboxes = super::control()?.list().await?;
    match (args.json, args.quiet) {
        (true, _) => render::json(&json!({ "sandboxes": sandboxes }))?,
        (_, true) => render::text(&render::names(&sandboxes))?,
        _ => render::text(&render::sandboxes(&sandboxes))?,
    }
    Ok(0)
}
