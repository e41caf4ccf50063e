//! `agentkernel exec-kill`.

use super::Connect;
use crate::{args::ExecKillArgs, failure::Outcome};

pub async fn exec_kill(args: ExecKillArgs, connect: Connect) -> Outcome {
    connect()?.kill_detached(&args.name, &args.id).await?;
    Ok(0)
}
