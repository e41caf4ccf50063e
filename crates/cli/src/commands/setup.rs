//! `agentkernel setup`: nothing is ever installed, so it says so and checks.

use super::{Connect, doctor};
use crate::{args::SetupArgs, failure::Outcome, render};

pub async fn setup(args: SetupArgs, connect: Connect) -> Outcome {
    if !args.check && !args.json {
        render::text(
            "The embedded backend needs nothing to be installed. This is what can be used here:\n\n",
        )?;
    }
    doctor::report(args.json, connect).await
}
