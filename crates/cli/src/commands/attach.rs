//! `agentkernel attach`: a shell in a kept sandbox.

use agentkernel_control::{Control, Error, Process};
use agentkernel_types::{Command, ErrorKind, ExecSpec, SandboxName};

use super::{Connect, session::Session};
use crate::{args::AttachArgs, failure::Outcome, streams::Stdio};

/// The better one first. The caller's own shell says nothing about what the sandbox has.
const SHELLS: [&str; 2] = ["bash", "sh"];

pub async fn attach(args: AttachArgs, connect: Connect) -> Outcome {
    let session = Session::open(Stdio::inherited(), &args.terminal, false, false)?;
    let mut spec = ExecSpec::new(Command::new(SHELLS.first().copied())?);
    spec.env = args.environment.resolve()?;
    spec.env.splice(0..0, session.terminal_env());
    spec.workdir.clone_from(&args.workdir);
    spec.terminal = session.terminal_size();
    spec.stdin = session.stdin();
    let process = shell(&*connect()?, &args.name, &spec).await?;
    session.carry(process, None).await
}

async fn shell(control: &dyn Control, name: &SandboxName, spec: &ExecSpec) -> Result<Process, Error> {
    let mut missing = None;
    for shell in SHELLS {
        let spec = ExecSpec {
            command: Command::new([shell])?,
            ..spec.clone()
        };
        match control.exec(name, spec).await {
            Err(error) if error.kind() == ErrorKind::CommandNotFound => missing = Some(error),
            done => return done,
        }
    }
    Err(missing
        .unwrap_or_else(|| Error::new(ErrorKind::CommandNotFound, "attach", "the sandbox has no shell")))
}
