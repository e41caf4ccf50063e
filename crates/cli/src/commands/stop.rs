//! `agentkernel stop`.

use crate::{args::StopArgs, failure::Outcome, render};

pub async fn stop(args: StopArgs) -> Outcome {
    let info = super::control()?.stop(&args.name, args.time.duration()).await?;
    render::sandbox(&info, args.json)?;
    Ok(0)
}
