//! `agentkernel create`: a sandbox that stays.

use super::Connect;
use crate::{args::CreateArgs, failure::Outcome, render, settings};

pub async fn create(args: CreateArgs, connect: Connect) -> Outcome {
    let request = settings::sandbox(
        &args.isolation,
        &args.environment,
        args.dir.as_deref(),
        args.name.as_ref(),
        true,
    )?;
    let image_was_named = request.image.is_some();
    let info = connect()?.create(request).await?;
    if !image_was_named && !args.quiet && !args.json {
        render::image_was_chosen(&info);
    }
    render::sandbox(&info, args.json)?;
    Ok(0)
}
