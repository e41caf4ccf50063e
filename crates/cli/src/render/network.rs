//! Policies, ports and what was refused, for people.

use std::fmt::Write as _;

use agentkernel_control::{NetworkInfo, PortInfo};
use agentkernel_types::{Denial, Direction, Effect, Flow, NetworkEvent, NetworkEventKind};

use super::{
    human::{age, now, size, table},
    safe,
};

/// Targets that the one-line note names.
const NAMED: usize = 3;

pub fn policy(info: &NetworkInfo) -> String {
    let policy = &info.policy;
    let mut text = format!("mode {} (version {})\n", policy.policy.mode, policy.version);
    for (what, rules) in [("allow", &policy.policy.allow), ("deny", &policy.policy.deny)] {
        for rule in rules {
            let _ = writeln!(text, "{what} {rule}");
        }
    }
    for temporary in &policy.temporary {
        let effect = match temporary.effect {
            Effect::Allow => "allow",
            Effect::Deny => "deny",
        };
        let left = (temporary.until_ms / 1000).saturating_sub(now());
        let _ = writeln!(text, "{effect} {} (for {} more)", temporary.rule, age(left));
    }
    text
}

pub fn port(info: &PortInfo) -> String {
    match info.address {
        Some(address) => address.to_string(),
        None => info.port.to_string(),
    }
}

pub fn ports(ports: &[PortInfo]) -> String {
    let rows = ports.iter().map(|info| {
        let host = info.address.unwrap_or(info.port.host);
        [
            host.to_string(),
            format!("{}/{}", info.port.sandbox, info.port.protocol),
            if info.address.is_some() {
                "open"
            } else {
                "at the next start"
            }
            .to_owned(),
        ]
    });
    table(["HOST", "SANDBOX", "STATE"], rows)
}

/// One event a paragraph: what, why, and what would allow it.
pub fn network_events(events: &[NetworkEvent]) -> String {
    let mut text = String::new();
    for event in events {
        let ago = age(now().saturating_sub(event.at_ms / 1000));
        let _ = writeln!(text, "{ago} ago: {}", event_text(&event.kind));
        if let NetworkEventKind::Denied(Denial {
            remedy: Some(remedy), ..
        }) = &event.kind
        {
            let _ = writeln!(text, "  to allow it: {}", safe(remedy));
        }
    }
    if text.is_empty() {
        text.push_str("nothing was refused\n");
    }
    text
}

fn event_text(kind: &NetworkEventKind) -> String {
    match kind {
        NetworkEventKind::Denied(denial) => denied(denial),
        NetworkEventKind::Opened(flow) => format!("opened {}", flow_text(flow)),
        NetworkEventKind::Closed {
            flow,
            sent,
            received,
            lasted_ms,
        } => format!(
            "closed {} after {}.{:03} s, {} sent, {} received",
            flow_text(flow),
            lasted_ms / 1000,
            lasted_ms % 1000,
            size(*sent),
            size(*received)
        ),
        NetworkEventKind::Policy { policy } => {
            let rules = policy.policy.allow.len() + policy.policy.deny.len() + policy.temporary.len();
            format!(
                "policy version {} is in force: mode {}, {rules} rules",
                policy.version, policy.policy.mode
            )
        }
        NetworkEventKind::Published { port, address } => {
            format!("{address} leads to port {}/{}", port.sandbox, port.protocol)
        }
        NetworkEventKind::Unpublished { address, protocol } => format!("{address}/{protocol} was closed"),
        NetworkEventKind::Lost { events } => format!("{events} events found no room"),
    }
}

fn denied(denial: &Denial) -> String {
    let method = denial
        .method
        .as_ref()
        .map_or_else(String::new, |method| format!("{method} "));
    let times = match denial.times {
        0 | 1 => String::new(),
        times => format!(" ({times} times)"),
    };
    safe(&format!(
        "{method}{}{times} was refused by {}: {}",
        denial.target(),
        denial.rule,
        denial.reason
    ))
}

fn flow_text(flow: &Flow) -> String {
    let names: Vec<&str> = flow.names.iter().map(|name| name.as_str()).collect();
    let names = match names.is_empty() {
        true => String::new(),
        false => format!(" ({})", names.join(", ")),
    };
    let (arrow, outside) = match flow.direction {
        Direction::Leaving => ("to", flow.outside),
        Direction::Entering => ("from", flow.outside),
    };
    safe(&format!(
        "{} {arrow} {outside}{names} by {}",
        flow.protocol, flow.rule
    ))
}

/// One line after a command that failed. None: nothing was refused.
pub fn refusals(events: &[NetworkEvent]) -> Option<String> {
    let mut targets: Vec<(String, &Denial)> = Vec::new();
    for event in events {
        if let NetworkEventKind::Denied(denial) = &event.kind {
            let target = denial.target();
            if !targets.iter().any(|(known, _)| *known == target) {
                targets.push((target, denial));
            }
        }
    }
    let (_, first) = targets.first()?;
    let named: Vec<String> = targets
        .iter()
        .take(NAMED)
        .map(|(target, denial)| format!("{target} ({})", denial.rule))
        .collect();
    let more = match targets.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let way_out = first.remedy.as_ref();
    let way_out = way_out.map_or_else(String::new, |remedy| format!("; to allow it: {remedy}"));
    Some(format!(
        "the network policy refused {}{more}{way_out}",
        named.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use agentkernel_types::{Attempt, Protocol};

    use super::*;

    fn denial(name: &str, port: u16) -> NetworkEvent {
        NetworkEvent {
            at_ms: 0,
            kind: NetworkEventKind::Denied(Denial {
                attempt: Attempt::Connect,
                name: Some(name.parse().expect("a name")),
                to: Some(([192, 0, 2, 1], port).into()),
                protocol: Protocol::Tcp,
                method: None,
                rule: "mode allowlist".to_owned(),
                reason: "no rule allows it".to_owned(),
                remedy: Some(format!("agentkernel run --allow {name}:{port}")),
                times: 1,
            }),
        }
    }

    #[test]
    fn a_note_names_each_target_once_and_the_first_way_out() {
        assert_eq!(refusals(&[]), None);
        let events = [
            denial("a.example", 443),
            denial("a.example", 443),
            denial("b.example", 80),
            denial("c.example", 1),
            denial("d.example", 1),
        ];
        assert_eq!(
            refusals(&events).expect("there are some"),
            "the network policy refused a.example:443 (mode allowlist), b.example:80 (mode allowlist), c.example:1 \
             (mode allowlist) and 1 more; to allow it: agentkernel run --allow a.example:443"
        );
    }

    #[test]
    fn a_refusal_says_what_why_and_how() {
        let text = network_events(&[denial("a.example", 443)]);
        assert!(
            text.ends_with(
                "ago: a.example:443 was refused by mode allowlist: no rule allows it\n  to allow it: agentkernel run \
                 --allow a.example:443\n"
            ),
            "{text}"
        );
        assert_eq!(network_events(&[]), "nothing was refused\n");
    }
}
