//! `agentkernel completions`.

use crate::{args::CompletionsArgs, failure::Outcome, render};

pub fn completions(args: CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::command(), "agentkernel", &mut script);
    render::text(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
