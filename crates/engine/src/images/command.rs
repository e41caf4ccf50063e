//! What runs in a sandbox: what the user said, and what the image says where the user did not.

use agentkernel_backend::{Error, Result};
use agentkernel_control::{Choice, RunRequest};
use agentkernel_image::{Image, ImageConfig};
use agentkernel_types::{Command, ErrorKind, ImageRef};

use crate::{Engine, choose::Chosen};

impl Engine {
    /// Docker's rules for an image that was asked for. A detected one was chosen to run this very command, so its
    /// entrypoint has no say.
    pub(crate) fn command_of(&self, request: &RunRequest, chosen: &Chosen) -> Result<Command> {
        let image = self.image_of(chosen)?;
        command(request, image.as_ref().map(|image| &image.config))
    }

    fn image_of(&self, chosen: &Chosen) -> Result<Option<Image>> {
        match &chosen.plan.spec.image_id {
            Some(id) => self.image_store().get(id),
            None => Ok(None),
        }
    }

    /// What `run --explain` says of the command and its surroundings.
    pub(crate) fn explain_command(&self, request: &RunRequest, chosen: &Chosen) -> Result<Vec<Choice>> {
        let image = self.image_of(chosen)?;
        let mut choices = Vec::new();
        let mut choose = |what: &'static str, value: String, why: &str| {
            choices.push(Choice {
                what,
                value,
                why: why.to_owned(),
            });
        };
        match command(request, image.as_ref().map(|image| &image.config)) {
            Ok(command) => {
                let said = request.command.as_ref() == Some(&command);
                let words: Vec<String> = command
                    .argv()
                    .iter()
                    .map(|word| word.to_string_lossy().into_owned())
                    .collect();
                choose(
                    "command",
                    format!("{words:?}"),
                    if said {
                        "asked for"
                    } else {
                        "the image's entrypoint and command"
                    },
                );
            }
            Err(error) if image.is_some() || request.command.is_some() => return Err(error),
            Err(_) => choose("command", "not known yet".to_owned(), "what the image runs"),
        }
        let (Some(image), spec) = (&image, &chosen.plan.spec) else {
            return Ok(choices);
        };
        let user = image.user(spec.user.as_ref())?;
        let name = user.name.map(|name| format!(" ({name})")).unwrap_or_default();
        let why = match (&spec.user, &image.config.user) {
            (Some(_), _) => "asked for",
            (None, Some(_)) => "the image's own",
            (None, None) => "the image names none, so root of the sandbox",
        };
        choose("user", format!("{}:{}{name}", user.uid, user.gid), why);
        match (&spec.workdir, &image.config.workdir) {
            (Some(workdir), _) => choose("workdir", workdir.to_string(), "asked for, or the project"),
            (None, Some(workdir)) => choose("workdir", workdir.clone(), "the image's own"),
            (None, None) => choose("workdir", "/".to_owned(), "the image names none"),
        }
        for (name, value) in &image.config.env {
            choose("env", format!("{name}={value}"), "the image's own");
        }
        Ok(choices)
    }
}

/// Before anything is fetched: only an image that was asked for says what to run.
pub(crate) fn refuse_nothing_to_run(request: &RunRequest) -> Result<()> {
    match (&request.command, &request.entrypoint, &request.sandbox.image) {
        (None, None, None | Some(ImageRef::Host)) => Err(nothing_to_run("no command was given")),
        _ => Ok(()),
    }
}

fn nothing_to_run(message: &str) -> Error {
    Error::new(ErrorKind::InvalidSpec, "run", message)
        .with("field", "command")
        .hint("name a command: agentkernel run [FLAGS] COMMAND [ARGS]")
}

fn command(request: &RunRequest, image: Option<&ImageConfig>) -> Result<Command> {
    let explicit = request.sandbox.image.is_some();
    let none = ImageConfig::default();
    let config = image.filter(|_| explicit).unwrap_or(&none);
    let arguments = request.command.as_ref().map_or(&[][..], |command| command.argv());
    config
        .command(request.entrypoint.as_deref(), arguments)?
        .ok_or_else(|| {
            nothing_to_run(match image {
                Some(_) if explicit => "the image says nothing of what to run in it",
                _ => "no command was given",
            })
        })
}
