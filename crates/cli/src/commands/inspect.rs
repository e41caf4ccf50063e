//! `agentkernel inspect`.

use crate::{args::InspectArgs, failure::Outcome, render};

pub async fn inspect(args: InspectArgs) -> Outcome {
    let info = super::control()?.inspect(&args.name).await?;
    render::sandbox(&info, true)?;
    Ok(0)
}
