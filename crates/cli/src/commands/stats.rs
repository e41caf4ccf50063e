//! `agentkernel stats`.

use crate::{args::StatsArgs, failure::Outcome, render};

pub async fn stats(args: StatsArgs) -> Outcome {
    let stats = super::control()?.stats(&args.name).await?;
    match args.json {
        true => render::json(&stats)?,
        false => render::text(&render::stats(&stats))?,
    }
    Ok(0)
}
