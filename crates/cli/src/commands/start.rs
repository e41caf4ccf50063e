//! `agentkernel start`.

use super::Connect;
use crate::{args::StartArgs, failure::Outcome, render};

pub async fn start(args: StartArgs, connect: Connect) -> Outcome {
    let info = connect()?.start(&args.name).await?;
    render::sandbox(&info, args.json)?;
    Ok(0)
}
