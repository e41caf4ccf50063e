//! `agentkernel stop`.

use super::Connect;
use crate::{args::StopArgs, failure::Outcome, render};

pub async fn stop(args: StopArgs, connect: Connect) -> Outcome {
    let info = connect()?.stop(&args.name, args.time.duration()).await?;
    render::sandbox(&info, args.json)?;
    Ok(0)
}
