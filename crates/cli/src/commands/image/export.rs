//! `agentkernel image export`.

use std::{
    fs::{self, File},
    io,
    os::fd::AsFd,
    path::Path,
};

use agentkernel_control::{ArchiveFormat, Control, Error};
use agentkernel_types::ErrorKind;

use crate::{
    args::ImageExportArgs,
    commands::Connect,
    failure::{Failure, Outcome},
};

pub async fn export(args: ImageExportArgs, connect: Connect) -> Outcome {
    let format = match args.format.as_str() {
        "oci" => ArchiveFormat::Oci,
        _ => ArchiveFormat::Docker,
    };
    let control = connect()?;
    match &args.output {
        Some(path) => to_file(&*control, &args.image, format, path).await?,
        None => control.images().export(&args.image, format, stdout()?).await?,
    }
    Ok(0)
}

/// Beside it and then renamed: what was there before stays until the new one is whole.
async fn to_file(
    control: &dyn Control,
    image: &str,
    format: ArchiveFormat,
    path: &Path,
) -> Result<(), Failure> {
    let failed = |error| Failure::io("export", format!("cannot write {}", path.display()), error);
    // A pipe or a device is written to as it is.
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        let file = File::options().write(true).open(path).map_err(failed)?;
        return Ok(control.images().export(image, format, file).await?);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let fresh = path.with_file_name(name);
    let file = File::create(&fresh).map_err(failed)?;
    let written = control
        .images()
        .export(image, format, file)
        .await
        .map_err(Failure::from);
    let done = written.and_then(|()| fs::rename(&fresh, path).map_err(failed));
    if done.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    done
}

fn stdout() -> Result<File, Failure> {
    let stdout = io::stdout();
    if rustix::termios::isatty(&stdout) {
        let error = Error::new(
            ErrorKind::InvalidSpec,
            "export",
            "an archive is not written to a terminal",
        )
        .hint("write it to a file: -o FILE");
        return Err(error.into());
    }
    stdout
        .as_fd()
        .try_clone_to_owned()
        .map(File::from)
        .map_err(Failure::output)
}
