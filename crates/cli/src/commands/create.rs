//! `agentkernel create`: a sandbox that stays.

use super::{Connect, image};
use crate::{args::CreateArgs, failure::Outcome, render, settings};

pub async fn create(args: CreateArgs, connect: Connect) -> Outcome {
    let (mut request, build) = settings::sandbox(
        &args.isolation,
        &args.environment,
        &args.pull,
        args.dir.as_deref(),
        args.name.as_ref(),
        true,
    )?;
    let progress = render::Progress::new(args.quiet || args.json);
    request.images.progress = progress.listener();
    let image_was_named = request.image.is_some();
    let control = connect()?;
    if request.image.is_none()
        && let Some(build) = build
    {
        request.image = Some(image::built_before(&*control, build).await?);
    }
    let info = control.create(request).await?;
    progress.finish();
    if !image_was_named && !args.quiet && !args.json {
        render::image_was_chosen(&info);
    }
    render::sandbox(&info, args.json)?;
    Ok(0)
}
