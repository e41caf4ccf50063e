//! `agentkernel restart`.

use crate::{args::RestartArgs, failure::Outcome, render};

pub async fn restart(args: RestartArgs) -> Outcome {
    let control = super::control()?;
    control.stop(&args.name, args.time.duration()).await?;
    let info = control.start(&args.name).await?;
    render::sandbox(&info, args.json)?;
    Ok(0)
}
