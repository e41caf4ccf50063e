//! `agentkernel inspect`.

use super::Connect;
use crate::{args::InspectArgs, failure::Outcome, render};

pub async fn inspect(args: InspectArgs, connect: Connect) -> Outcome {
    let info = connect()?.inspect(&args.name).await?;
    render::sandbox(&info, true)?;
    Ok(0)
}
