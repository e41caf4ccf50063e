//! `agentkernel exec-list`.

use serde_json::json;

use super::Connect;
use crate::{args::ExecListArgs, failure::Outcome, render};

pub async fn exec_list(args: ExecListArgs, connect: Connect) -> Outcome {
    let commands = connect()?.detached(&args.name).await?;
    match args.json {
        true => render::json(&json!({ "commands": commands }))?,
        false => render::text(&render::detached(&commands))?,
    }
    Ok(0)
}
