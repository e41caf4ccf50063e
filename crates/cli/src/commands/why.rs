//! `agentkernel why`: what the policy of a sandbox has refused.

use agentkernel_control::Control;
use agentkernel_types::{NetworkEvent, NetworkEventKind, SandboxName};
use serde_json::json;

use super::Connect;
use crate::{args::WhyArgs, failure::Outcome, render};

/// Among the last of these events refusals are looked for.
const LAST_EVENTS: usize = 20_000;

pub async fn why(args: WhyArgs, connect: Connect) -> Outcome {
    let control = connect()?;
    let mut events = control.networks().network_events(&args.name, LAST_EVENTS).await?;
    if !args.all {
        events.retain(is_denial);
    }
    events.drain(..events.len().saturating_sub(args.last));
    match args.json {
        true => render::json(&json!({ "events": events }))?,
        false => render::text(&render::network_events(&events))?,
    }
    Ok(0)
}

/// After a command of a kept sandbox that failed: what was refused meanwhile. Whoever cannot tell has nothing to tell.
pub async fn refused_since(control: &dyn Control, name: &SandboxName, began_ms: u64) -> Vec<NetworkEvent> {
    let events = control.networks().network_events(name, LAST_EVENTS).await;
    let mut events = events.unwrap_or_default();
    events.retain(|event| event.at_ms >= began_ms && is_denial(event));
    events
}

fn is_denial(event: &NetworkEvent) -> bool {
    matches!(event.kind, NetworkEventKind::Denied(_))
}
