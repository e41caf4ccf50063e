//! `agentkernel gc`.

use super::Connect;
use crate::{args::GcArgs, failure::Outcome, render};

/// What could not be removed makes it a failure: whoever calls it in a script must see it.
pub async fn gc(args: GcArgs, connect: Connect) -> Outcome {
    let report = connect()?.gc(args.dry_run).await?;
    match args.json {
        true => render::json(&report)?,
        false => render::text(&render::gc(&report))?,
    }
    Ok(if report.failed.is_empty() { 0 } else { 1 })
}
