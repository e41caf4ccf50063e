//! `agentkernel run`: one command in a fresh sandbox.

use agentkernel_control::{Control, RunRequest};
use agentkernel_types::Command;

use super::{Connect, session::Session};
use crate::{
    args::RunArgs,
    failure::{Failure, Outcome},
    render, settings,
    streams::Stdio,
};

pub async fn run(args: RunArgs, connect: Connect) -> Outcome {
    let session = Session::open(Stdio::inherited(), &args.terminal, args.json, args.quiet)?;
    let request = request(&args, &session)?;
    let session = session.announcing(request.keep && request.sandbox.name.is_none());
    let control = connect()?;
    if args.explain {
        return explain(&*control, &request, args.json).await;
    }
    let run = control.run(request).await?;
    session.carry(run, None).await
}

fn request(args: &RunArgs, session: &Session<'_>) -> Result<RunRequest, Failure> {
    let command = Command::new(args.command.iter().cloned())?;
    let mut sandbox = settings::sandbox(
        &args.isolation,
        &args.environment,
        None,
        args.name.as_ref(),
        args.keep,
    )?;
    sandbox.env.splice(0..0, session.terminal_env());
    Ok(RunRequest {
        sandbox,
        command,
        terminal: session.terminal_size(),
        stdin: session.stdin(),
        keep: args.keep || args.name.is_some(),
    })
}

async fn explain(control: &dyn Control, request: &RunRequest, json: bool) -> Outcome {
    let explanation = control.explain(request).await?;
    match json {
        true => render::json(&explanation)?,
        false => render::text(&render::explanation(&explanation))?,
    }
    Ok(0)
}
