//! `agentkernel doctor`: what is usable here, found by trying.

use super::Connect;
use crate::{args::DoctorArgs, failure::Outcome, render};

pub async fn doctor(args: DoctorArgs, connect: Connect) -> Outcome {
    report(args.json, connect).await
}

/// Ends with 1 if nothing can run a sandbox.
pub async fn report(json: bool, connect: Connect) -> Outcome {
    let report = connect()?.doctor().await?;
    let usable = report.backends.iter().any(|backend| backend.usable);
    match json {
        true => render::json(&render::Doctor {
            usable,
            report: &report,
        })?,
        false => render::text(&render::doctor(&report))?,
    }
    Ok(if usable { 0 } else { 1 })
}
