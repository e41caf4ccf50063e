//! `agentkernel doctor`: what is usable here, found by trying.

use crate::{args::DoctorArgs, failure::Outcome, render};

pub async fn doctor(args: DoctorArgs) -> Outcome {
    report(args.json).await
}

/// Ends with 1 if nothing can run a sandbox.
pub async fn report(json: bool) -> Outcome {
    let report = super::control()?.doctor().await?;
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
