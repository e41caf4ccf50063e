//! `agentkernel image lock`.

use agentkernel_control::Error;
use agentkernel_types::{ErrorKind, ImageRef};
use serde_json::json;

use crate::{
    args::ImageLockArgs, commands::Connect, failure::Outcome, lock_file::LockFile, render, settings,
};

pub async fn lock(args: ImageLockArgs, connect: Connect) -> Outcome {
    let (mut access, resolved) = settings::image_access(None)?;
    let here = settings::folder(std::path::Path::new("."))?;
    let path = LockFile::place(resolved.project_file.as_deref(), &here);
    let mut file = LockFile::read(&path)?;
    let control = connect()?;
    let mut names: Vec<String> = args.images.clone();
    if names.is_empty() {
        names.extend(file.names().map(str::to_owned));
        match resolved.image.map(|image| image.value) {
            Some(ImageRef::Registry(name)) => names.push(name),
            Some(ImageRef::Host) => {}
            None => names.extend(control.images().detected(&here)?),
        }
    }
    if names.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidSpec,
            "lock",
            "this project uses no image that could be locked",
        )
        .hint("name one: agentkernel image lock IMAGE")
        .into());
    }
    // What is asked now is what the registry says now.
    let pinned = std::mem::take(&mut access.pinned);
    let mut locked = Vec::new();
    for name in names {
        let full = control.images().full_name(&name)?;
        if locked.iter().any(|(known, _)| *known == full) {
            continue;
        }
        let known = pinned.get(&full).filter(|_| !args.update).cloned();
        let digest = match known {
            Some(digest) => digest,
            None => control.images().digest(&name, &access).await?,
        };
        file.set(&full, digest.clone());
        locked.push((full, digest));
    }
    file.write(&path)?;
    match args.json {
        true => render::json(&json!({
            "file": path,
            "images": locked.iter().map(|(name, digest)| json!({ "name": name, "digest": digest })).collect::<Vec<_>>(),
        }))?,
        false => render::text(&render::locked(&locked))?,
    }
    Ok(0)
}
