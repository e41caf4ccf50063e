//! `agentkernel remove`.

use serde_json::json;

use super::Connect;
use crate::{args::RemoveArgs, failure::Outcome, render};

/// One after the other; the first one that cannot be removed ends it, and the ones before it are gone.
pub async fn remove(args: RemoveArgs, connect: Connect) -> Outcome {
    let control = connect()?;
    for name in &args.names {
        control.remove(name, args.force).await?;
        if !args.json {
            render::text(name.as_str())?;
        }
    }
    if args.json {
        render::json(&json!({ "removed": args.names }))?;
    }
    Ok(0)
}
