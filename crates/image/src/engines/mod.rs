//! Other engines on this machine that hold or build images, asked through their own commands.
//!
//! Their commands know contexts, sockets, logins and rootless set-ups; we would only know some of that. Nothing here
//! runs a container: no sandbox is made like this.

mod build;
mod cache;
mod context;
mod ignore;
mod process;

use std::time::Duration;

pub use build::{Build, build};
pub use cache::{Inputs, inputs};
pub use process::Heard;

use self::process::{Output, Running, quiet};
use crate::{Error, Reference, Result};
use agentkernel_types::ErrorKind;

/// An engine that does not answer by then is as good as none: nobody shall wait for a daemon that hangs.
const ANSWER: Duration = Duration::from_secs(2);

/// A program that manages images.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Engine {
    Docker,
    Podman,
    /// Builds and holds the same images as podman.
    Buildah,
}

impl Engine {
    /// In the order in which they are asked.
    pub const ALL: [Self; 3] = [Self::Docker, Self::Podman, Self::Buildah];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Buildah => "buildah",
        }
    }

    /// Whether it is here and answers.
    pub fn answers(self) -> bool {
        let question: &[&str] = match self {
            // The client alone answers `version` with an error if there is no daemon.
            Self::Docker => &["version", "--format", "{{.Server.Version}}"],
            Self::Podman | Self::Buildah => &["--version"],
        };
        quiet(self.name(), question, ANSWER)
    }

    /// Whether it holds an image of this name.
    pub fn holds(self, name: &Reference) -> bool {
        let name = name.to_string();
        match self {
            Self::Docker | Self::Podman => quiet(
                self.name(),
                &["image", "inspect", "--format", "{{.Id}}", &name],
                ANSWER,
            ),
            // It shares podman's images; alone it cannot save one to a pipe.
            Self::Buildah => false,
        }
    }

    /// The image as an archive, as it is made.
    pub fn save(self, name: &str) -> Result<Saved> {
        let running = Running::start(self.name(), &["save", name], Output::Data, None)?;
        Ok(Saved { running })
    }
}

impl std::str::FromStr for Engine {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|engine| engine.name() == text);
        known.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidSpec,
                "image",
                format!("unknown engine {text:?}"),
            )
            .hint("use docker, podman or buildah")
        })
    }
}

/// The first engine that holds the image. Blocks for two answers at most.
pub fn holding(name: &Reference) -> Option<Engine> {
    Engine::ALL.into_iter().find(|engine| engine.holds(name))
}

/// For `ok_or_else` after [`holding`].
pub fn nobody_holds(name: &Reference) -> Error {
    let shown = name.familiar();
    let message = format!("neither docker nor podman is here and has the image {shown}");
    Error::new(ErrorKind::NotFound, "load", message).hint(format!("agentkernel image pull {shown}"))
}

/// The output of `save`. Only when [`Saved::finish`] says so it was whole.
pub struct Saved {
    running: Running,
}

impl std::io::Read for Saved {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.running.read(buffer)
    }
}

impl Saved {
    pub fn finish(self) -> Result<()> {
        self.running.finish()
    }
}
