//! `agentkernel image list`, `inspect`, `remove` and `prune`.

use serde_json::json;

use agentkernel_control::{ImagesRemoved, PruneRequest};
use agentkernel_types::ErrorKind;

use crate::{
    args::{ImageInspectArgs, ImageListArgs, ImagePruneArgs, ImageRemoveArgs},
    commands::Connect,
    failure::Outcome,
    render,
};

pub async fn list(args: ImageListArgs, connect: Connect) -> Outcome {
    let listing = connect()?.images().list().await?;
    match (args.json, args.quiet) {
        (true, _) => render::json(&listing)?,
        (_, true) => render::text(&render::image_names(&listing))?,
        _ => render::text(&render::images(&listing))?,
    }
    Ok(0)
}

pub async fn inspect(args: ImageInspectArgs, connect: Connect) -> Outcome {
    render::json(&connect()?.images().inspect(&args.image).await?)?;
    Ok(0)
}

/// One after the other; the first that cannot be removed ends it, and the ones before it are gone.
pub async fn remove(args: ImageRemoveArgs, connect: Connect) -> Outcome {
    let control = connect()?;
    let mut all = ImagesRemoved::default();
    for image in &args.images {
        let removed = match control.images().remove(image, args.force).await {
            Err(error) if args.force && error.kind() == ErrorKind::NotFound => continue,
            removed => removed?,
        };
        if !args.json {
            render::text(&render::images_removed(&removed, false))?;
        }
        all.images.extend(removed.images);
        all.names.extend(removed.names);
        all.bytes += removed.bytes;
    }
    if args.json {
        render::json(&json!({ "removed": all }))?;
    }
    Ok(0)
}

pub async fn prune(args: ImagePruneArgs, connect: Connect) -> Outcome {
    let request = PruneRequest {
        all: args.all,
        keep_bytes: args.keep.map(|size| size.bytes()),
        dry_run: args.dry_run,
    };
    let removed = connect()?.images().prune(request).await?;
    match args.json {
        true => render::json(&json!({ "dry_run": args.dry_run, "removed": removed }))?,
        false => render::text(&render::images_removed(&removed, args.dry_run))?,
    }
    Ok(0)
}
