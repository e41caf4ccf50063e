//! `agentkernel exec-kill`.

use crate::{args::ExecKillArgs, failure::Outcome};

pub async fn exec_kill(args: ExecKillArgs) -> Outcome {
    super::control()?.kill_detached(&args.name, &args.id).await?;
    Ok(0)
}
