//! Container engines as peers: a running container from an image that is made here, without any registry.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context, Result};

use crate::programs::{answer, in_path};

const IMAGE: &str = "agentkernel-benchmark:local";
const PROMPT: Duration = Duration::from_secs(10);
const PATIENT: Duration = Duration::from_secs(60);

/// A container that idles. Dropping it removes container and image.
pub struct Container {
    engine: &'static str,
    id: String,
}

impl Container {
    /// The error says why there is no such peer on this machine.
    pub fn start(engine: &'static str) -> Result<Self> {
        in_path(engine).context("not installed")?;
        answer(Command::new(engine).arg("info"), PROMPT).context("does not answer")?;
        let busybox = in_path("busybox").context("no static busybox to make an image from")?;
        let root = tempfile::tempdir()?;
        fs::create_dir(root.path().join("bin"))?;
        fs::copy(busybox, root.path().join("bin/busybox"))?;
        let archive = root.path().join("root.tar");
        answer(
            Command::new("tar")
                .arg("-C")
                .arg(root.path())
                .arg("-cf")
                .arg(&archive)
                .arg("bin"),
            PATIENT,
        )?;
        answer(
            Command::new(engine).arg("import").arg(&archive).arg(IMAGE),
            PATIENT,
        )
        .context("cannot import")?;
        let run = [
            "run",
            "-d",
            "--network",
            "none",
            IMAGE,
            "/bin/busybox",
            "sleep",
            "3600",
        ];
        match answer(Command::new(engine).args(run), PATIENT) {
            Ok(id) => Ok(Self { engine, id }),
            Err(error) => {
                let _ = answer(Command::new(engine).args(["rmi", "-f", IMAGE]), PATIENT);
                Err(error.context("cannot start a container"))
            }
        }
    }

    pub fn exec_true(&self) -> Command {
        let mut command = Command::new(self.engine);
        command.args(["exec", &self.id, "/bin/busybox", "true"]);
        command
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = answer(Command::new(self.engine).args(["rm", "-f", &self.id]), PATIENT);
        let _ = answer(Command::new(self.engine).args(["rmi", "-f", IMAGE]), PATIENT);
    }
}
