//! `agentkernel list`.

use serde_json::json;

use super::Connect;
use crate::{args::ListArgs, failure::Outcome, render};

pub async fn list(args: ListArgs, connect: Connect) -> Outcome {
    let sandboxes = connect()?.list().await?;
    match (args.json, args.quiet) {
        (true, _) => render::json(&json!({ "sandboxes": sandboxes }))?,
        (_, true) => render::text(&render::names(&sandboxes))?,
        _ => render::text(&render::sandboxes(&sandboxes))?,
    }
    Ok(0)
}
