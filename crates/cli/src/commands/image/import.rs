//! `agentkernel image import` and `load`.

use std::{
    fs::File,
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use agentkernel_control::{Error, ImportDefaults, ImportRequest, ImportSource, LoadRequest};
use agentkernel_types::ErrorKind;

use crate::{
    args::{ImageImportArgs, ImageLoadArgs},
    commands::Connect,
    failure::{Failure, Outcome},
    render,
};

pub async fn import(args: ImageImportArgs, connect: Connect) -> Outcome {
    let source = source(&args.from)?;
    let request = ImportRequest {
        source,
        name: args.name,
        defaults: ImportDefaults {
            cmd: args.cmd,
            entrypoint: Vec::new(),
            env: args.env,
            workdir: args.workdir,
            user: args.user,
        },
    };
    let images = connect()?.images().import(request).await?;
    render::images_came(&images, args.json)?;
    Ok(0)
}

pub async fn load(args: ImageLoadArgs, connect: Connect) -> Outcome {
    let progress = render::Progress::new(args.quiet || args.json);
    let request = LoadRequest {
        name: args.image,
        from: args.from,
        progress: progress.listener(),
    };
    let images = connect()?.images().load(request).await?;
    progress.finish();
    render::images_came(&images, args.json)?;
    Ok(0)
}

fn source(from: &Path) -> Result<ImportSource, Failure> {
    if from == Path::new("-") {
        let stdin = io::stdin();
        if rustix::termios::isatty(&stdin) {
            let error = Error::new(
                ErrorKind::InvalidSpec,
                "import",
                "stdin is a terminal, not an archive",
            )
            .hint("docker save IMAGE | agentkernel image import -");
            return Err(error.into());
        }
        let file = stdin
            .as_fd()
            .try_clone_to_owned()
            .map(File::from)
            .map_err(|error| Failure::io("import", "cannot read stdin", error))?;
        let label = "-".to_owned();
        return Ok(ImportSource::Stream { file, label });
    }
    let failed = |error| Failure::io("import", format!("cannot read {}", from.display()), error);
    let path: PathBuf = std::path::absolute(from).map_err(failed)?;
    if path.is_dir() {
        return Ok(ImportSource::Folder(path));
    }
    let file = File::open(&path).map_err(failed)?;
    // The end of a pipe has no real path.
    let label = path.canonicalize().unwrap_or(path).display().to_string();
    Ok(ImportSource::Stream { file, label })
}
