//! `agentkernel run`: one command in a fresh sandbox.

use agentkernel_config::BuildSettings;
use agentkernel_control::{Control, RunRequest};
use agentkernel_types::Command;

use super::{Connect, image, session::Session};
use crate::{
    args::RunArgs,
    failure::{Failure, Outcome},
    render, settings,
    streams::Stdio,
};

pub async fn run(args: RunArgs, connect: Connect) -> Outcome {
    let session = Session::open(Stdio::inherited(), &args.terminal, args.json, args.quiet)?;
    let (mut request, build) = request(&args, &session)?;
    let session = session.announcing(request.keep && request.sandbox.name.is_none());
    let control = connect()?;
    let progress = render::Progress::new(args.quiet || args.json);
    request.sandbox.images.progress = progress.listener();
    if (args.build || request.sandbox.image.is_none())
        && let Some(build) = image::wanted(build, args.build)?
    {
        // An explanation makes nothing.
        request.sandbox.image = Some(match args.build && !args.explain {
            true => image::built(&*control, build, &progress).await?,
            false => image::built_before(&*control, build).await?,
        });
    }
    if args.explain {
        return explain(&*control, &request, args.json).await;
    }
    let run = control.run(request).await?;
    progress.finish();
    session.carry(run, None).await
}

fn request(args: &RunArgs, session: &Session<'_>) -> Result<(RunRequest, Option<BuildSettings>), Failure> {
    let command = match args.command.is_empty() {
        true => None,
        false => Some(Command::new(args.command.iter().cloned())?),
    };
    let (mut sandbox, build) = settings::sandbox(
        &args.isolation,
        &args.environment,
        &args.pull,
        None,
        args.name.as_ref(),
        args.keep,
    )?;
    sandbox.env.splice(0..0, session.terminal_env());
    let request = RunRequest {
        sandbox,
        command,
        entrypoint: args.entrypoint.clone().map(|word| vec![word]),
        terminal: session.terminal_size(),
        stdin: session.stdin(),
        keep: args.keep || args.name.is_some(),
    };
    Ok((request, build))
}

async fn explain(control: &dyn Control, request: &RunRequest, json: bool) -> Outcome {
    let explanation = control.explain(request).await?;
    match json {
        true => render::json(&explanation)?,
        false => render::text(&render::explanation(&explanation))?,
    }
    Ok(0)
}
