//! `agentkernel stats`.

use super::Connect;
use crate::{args::StatsArgs, failure::Outcome, render};

pub async fn stats(args: StatsArgs, connect: Connect) -> Outcome {
    let stats = connect()?.stats(&args.name).await?;
    match args.json {
        true => render::json(&stats)?,
        false => render::text(&render::stats(&stats))?,
    }
    Ok(0)
}
