//! Builds an image with an engine of this machine and brings it into the store.

use std::fs;

use agentkernel_types::ErrorKind;

use super::{
    Engine, Heard, Inputs,
    process::{Output, Running},
};
use crate::{
    Error, Image, ImageConfig, Reference, Result, Source, Writer, archive, archive::Import,
    failure::io_error, unpack::Limits,
};

/// One build.
pub struct Build<'a> {
    pub inputs: &'a Inputs,
    /// None: the first engine that answers.
    pub engine: Option<Engine>,
    /// A name of the user's, beside that of the inputs.
    pub name: Option<&'a Reference>,
    /// Gets what the engine says while it builds.
    pub heard: Heard,
    /// Without the engine's own cache, too.
    pub fresh: bool,
}

pub fn build(writer: &Writer, build: &Build<'_>) -> Result<(Image, Engine)> {
    let engine = engine(build.engine)?;
    let work = writer.scratch()?;
    let id_file = work.folder().join("id");
    let inputs = build.inputs;
    let text = |path: &std::path::Path| {
        path.to_str().map(str::to_owned).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidSpec,
                "image",
                format!("the name {} is not UTF-8", path.display()),
            )
        })
    };
    let mut words = vec![
        "build".to_owned(),
        "--file".to_owned(),
        text(&inputs.dockerfile)?,
        "--iidfile".to_owned(),
        text(&id_file)?,
    ];
    for (name, value) in &inputs.args {
        words.extend(["--build-arg".to_owned(), format!("{name}={value}")]);
    }
    if let Some(target) = &inputs.target {
        words.extend(["--target".to_owned(), target.clone()]);
    }
    if build.fresh {
        words.push("--no-cache".to_owned());
    }
    words.push(text(&inputs.context)?);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Running::start(engine.name(), &words, Output::Log, Some(build.heard.clone()))?.finish()?;
    let id = fs::read_to_string(&id_file).map_err(io_error("read", &id_file))?;
    let id = id.trim();
    let import = Import {
        name: Some(inputs.name.clone()),
        source: Source::Build {
            context: inputs.context.display().to_string(),
        },
        config: ImageConfig::default(),
        limits: Limits::default(),
    };
    let images = match engine {
        Engine::Docker | Engine::Podman => {
            let mut saved = engine.save(id)?;
            let images = archive::import(writer, &mut saved, &import);
            // If the engine failed, its reason says more than a broken archive.
            saved.finish()?;
            images?
        }
        Engine::Buildah => {
            let file = work.folder().join("image");
            let to = format!("docker-archive:{}", text(&file)?);
            Running::start(engine.name(), &["push", id, &to], Output::Log, None)?.finish()?;
            let mut archived = fs::File::open(&file).map_err(io_error("open", &file))?;
            archive::import(writer, &mut archived, &import)?
        }
    };
    let image = images.into_iter().next().ok_or_else(|| {
        Error::new(
            ErrorKind::Broken,
            "image",
            format!("{} built no image", engine.name()),
        )
    })?;
    if let Some(name) = build.name {
        writer.name(&image.id, name)?;
    }
    Ok((image, engine))
}

fn engine(asked: Option<Engine>) -> Result<Engine> {
    let none = |message: String| {
        Error::new(ErrorKind::Unavailable, "image", message)
            .hint("install docker, podman or buildah, or build elsewhere and use `agentkernel image import`")
    };
    match asked {
        Some(engine) if engine.answers() => Ok(engine),
        Some(engine) => Err(none(format!("{} is not here, or does not answer", engine.name()))),
        None => Engine::ALL
            .into_iter()
            .find(|engine| engine.answers())
            .ok_or_else(|| {
                none("images are built by docker, podman or buildah, and none of them is here".to_owned())
            }),
    }
}
