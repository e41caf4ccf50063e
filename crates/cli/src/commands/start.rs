//! `agentkernel start`.

use crate::{args::StartArgs, failure::Outcome, render};

pub async fn start(args: StartArgs) -> Outcome {
    let info = super::control()?.start(&args.name).await?;
    render::sandbox(&info, args.json)?;
    Ok(0)
}
