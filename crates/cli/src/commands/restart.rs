//! `agentkernel restart`.

use super::Connect;
use crate::{args::RestartArgs, failure::Outcome, render};

pub async fn restart(args: RestartArgs, connect: Connect) -> Outcome {
    let control = connect()?;
    control.stop(&args.name, args.time.duration()).await?;
    let info = control.start(&args.name).await?;
    render::sandbox(&info, args.json)?;
    Ok(0)
}
