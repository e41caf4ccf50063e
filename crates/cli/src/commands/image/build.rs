//! `agentkernel image build`, and the image that a project builds for its runs.

use std::path::Path;

use agentkernel_config::BuildSettings;
use agentkernel_control::{BuildRequest, Control, Error};
use agentkernel_types::{ErrorKind, ImageRef};
use serde_json::json;

use crate::{
    args::ImageBuildArgs,
    commands::Connect,
    failure::{Failure, Outcome},
    render::{self, Progress},
    settings,
};

pub async fn build(args: ImageBuildArgs, connect: Connect) -> Outcome {
    let progress = Progress::new(args.quiet || args.json);
    let (_, resolved) = settings::image_access(args.config.as_deref())?;
    let mut request = match (&args.context, resolved.images.build) {
        (None, Some(settings)) => request(settings),
        (context, _) => BuildRequest {
            context: settings::folder(context.as_deref().unwrap_or(Path::new(".")))?,
            dockerfile: None,
            name: None,
            target: None,
            args: Default::default(),
            builder: None,
            fresh: false,
            progress: Default::default(),
        },
    };
    if let Some(file) = args.file {
        // As with docker: where the user is, not where the context is.
        let failed = |error| Failure::io("build", format!("cannot use {}", file.display()), error);
        request.dockerfile = Some(std::path::absolute(&file).map_err(failed)?);
    }
    request.name = args.tag;
    request.target = args.target.or(request.target);
    request.args.extend(args.args);
    request.builder = args.builder;
    request.fresh |= args.no_cache;
    request.progress = progress.listener();
    let built = connect()?.images().build(request).await?;
    progress.finish();
    match args.json {
        true => render::json(&json!({ "built": built }))?,
        false => render::text(built.image.id.as_str())?,
    }
    Ok(0)
}

fn request(settings: BuildSettings) -> BuildRequest {
    BuildRequest {
        context: settings.context,
        dockerfile: settings.dockerfile,
        name: None,
        target: settings.target,
        args: settings.args,
        builder: None,
        fresh: settings.no_cache,
        progress: Default::default(),
    }
}

/// What the project builds; nothing is an error only where it was asked for.
pub fn wanted(settings: Option<BuildSettings>, asked: bool) -> Result<Option<BuildSettings>, Failure> {
    if asked && settings.is_none() {
        let error = Error::new(ErrorKind::InvalidSpec, "build", "there is no [build] in the project's file").hint(
            "add [build] to agentkernel.toml, or build with `agentkernel image build -t NAME` and name it: --image NAME",
        );
        return Err(error.into());
    }
    Ok(settings)
}

/// `run --build`: the project's image, built if need be.
pub async fn built(
    control: &dyn Control,
    settings: BuildSettings,
    progress: &Progress,
) -> Result<ImageRef, Failure> {
    let mut request = request(settings);
    request.progress = progress.listener();
    let built = control.images().build(request).await?;
    Ok(built.image.id.as_str().parse()?)
}

/// The image of a project that builds one and asks for no other. A Dockerfile that came with a repository is never
/// built without being asked for.
pub async fn built_before(control: &dyn Control, settings: BuildSettings) -> Result<ImageRef, Failure> {
    match control.images().built(&request(settings)).await? {
        Some(id) => Ok(id.as_str().parse()?),
        None => {
            let message = "the project's image ([build] in agentkernel.toml) is not built, or no longer as it is written";
            let error = Error::new(ErrorKind::NotFound, "build", message)
                .hint("agentkernel run --build ..., or take another image: --image IMAGE");
            Err(error.into())
        }
    }
}
