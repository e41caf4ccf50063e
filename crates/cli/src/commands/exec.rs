//! `agentkernel exec`: a command in a kept sandbox.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agentkernel_types::{Command, ExecSpec, StdinMode, TimeSpan};
use serde_json::json;

use super::{Connect, session::Session};
use crate::{
    args::ExecArgs,
    failure::{Failure, Outcome},
    render,
    streams::Stdio,
};

pub async fn exec(args: ExecArgs, connect: Connect) -> Outcome {
    if args.detach {
        return detach(args, connect).await;
    }
    let session = Session::open(Stdio::inherited(), &args.terminal, args.json, false)?;
    let mut spec = spec(&args)?;
    spec.env.splice(0..0, session.terminal_env());
    spec.terminal = session.terminal_size();
    spec.stdin = session.stdin();
    let control = connect()?;
    let began_ms = now_ms();
    let process = control.exec(&args.name, spec).await?;
    let code = session.carry(process, limit(args.timeout)).await?;
    if code != 0 && !args.json {
        let refused = super::why::refused_since(&*control, &args.name, began_ms).await;
        render::refused(&refused);
    }
    Ok(code)
}

/// Prints the id under which the output is kept.
async fn detach(args: ExecArgs, connect: Connect) -> Outcome {
    let spec = ExecSpec {
        stdin: StdinMode::Null,
        ..spec(&args)?
    };
    let id = connect()?.exec_detached(&args.name, spec).await?;
    match args.json {
        true => render::json(&json!({ "id": id, "sandbox": args.name }))?,
        false => render::text(id.as_str())?,
    }
    Ok(0)
}

fn spec(args: &ExecArgs) -> Result<ExecSpec, Failure> {
    let mut spec = ExecSpec::new(Command::new(args.command.iter().cloned())?);
    spec.env = args.environment.resolve()?;
    spec.workdir.clone_from(&args.workdir);
    Ok(spec)
}

fn limit(timeout: Option<TimeSpan>) -> Option<Duration> {
    timeout.map(TimeSpan::duration)
}

/// By the clock of events: milliseconds since 1970.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
