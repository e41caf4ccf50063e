//! `agentkernel policy`: what a sandbox may reach.

use agentkernel_control::PolicyEdit;
use agentkernel_types::{Effect, TimeSpan};

use super::Connect;
use crate::{
    args::{PolicyArgs, PolicyCommand, PolicyRulesArgs},
    failure::Outcome,
    render,
};

pub async fn policy(args: PolicyArgs, connect: Connect) -> Outcome {
    let control = connect()?;
    let networks = control.networks();
    let (info, json) = match args.command {
        PolicyCommand::Show(args) => (networks.policy(&args.name).await?, args.json),
        PolicyCommand::Allow(args) => (
            networks
                .edit_policy(&args.name, add(Effect::Allow, &args))
                .await?,
            args.json,
        ),
        PolicyCommand::Deny(args) => (
            networks.edit_policy(&args.name, add(Effect::Deny, &args)).await?,
            args.json,
        ),
        PolicyCommand::Set(args) => {
            let edit = PolicyEdit::Set {
                mode: args.mode,
                allow: args.allow,
                deny: args.deny,
            };
            (networks.edit_policy(&args.name, edit).await?, args.json)
        }
    };
    match json {
        true => render::json(&info)?,
        false => render::text(&render::policy(&info))?,
    }
    Ok(0)
}

fn add(effect: Effect, args: &PolicyRulesArgs) -> PolicyEdit {
    PolicyEdit::Add {
        effect,
        rules: args.rules.clone(),
        span: args.span.map(TimeSpan::duration),
    }
}
