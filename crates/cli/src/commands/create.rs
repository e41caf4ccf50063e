//! `agentkernel create`: a sandbox that stays.

use crate::{args::CreateArgs, failure::Outcome, render, settings};

pub async fn create(args: CreateArgs) -> Outcome {
    let request = settings::sandbox(
        &args.isolation,
        &args.environment,
        args.dir.as_deref(),
        args.name.as_ref(),
        true,
    )?;
    let info = super::control()?.create(request).await?;
    if !args.quiet && !args.json {
        render::created(&info);
    }
    render::sandbox(&info, args.json)?;
    Ok(0)
}
