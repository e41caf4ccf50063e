//! `agentkernel image pull`.

use serde_json::json;

use crate::{
    args::ImagePullArgs,
    commands::Connect,
    failure::Outcome,
    render::{self, Progress},
    settings,
};

/// One after the other; the first that cannot be had ends it, and the ones before it stay.
pub async fn pull(args: ImagePullArgs, connect: Connect) -> Outcome {
    let (mut access, _) = settings::image_access(None)?;
    let progress = Progress::new(args.quiet || args.json);
    access.progress = progress.listener();
    let control = connect()?;
    let mut pulled = Vec::new();
    for name in &args.images {
        let info = control.images().pull(name, &access).await?;
        progress.finish();
        if !args.json {
            render::text(info.id.as_str())?;
        }
        pulled.push(info);
    }
    if args.json {
        render::json(&json!({ "images": pulled }))?;
    }
    Ok(0)
}
