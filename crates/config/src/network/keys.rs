//! The keys of `[network]`: a part of the table in `crate::keys`.

use std::str::FromStr;

use agentkernel_policy::CompiledNetwork;
use agentkernel_types::{NetworkMode, NetworkPolicy, NetworkRule, ParseError};
use toml::de::DeValue;

use crate::{
    keys::{Key, Scope},
    layer::At,
    shape::{self, Shape},
    wrong::{Fault, Wrong},
};

const MODES: &[&str] = &["none", "allowlist", "public", "open", "host"];
/// More rules than anybody writes by hand; a project's are compared with the user's, each with each.
const MAX_RULES: usize = 1000;
const MAX_PORTS: usize = 100;
/// More than a resolver asks one after the other.
const MAX_NAME_SERVERS: usize = 8;

/// The patterns of `NetworkRule` and `PublishedPort`; a test compares them with those of the types.
const RULE: Shape = Shape::List(
    "^(preset:[a-z0-9-]+|[^\\s:/]+(/[0-9]+)?|\\[[^\\]\\s]+\\](/[0-9]+)?|host)(:[0-9][0-9,-]*)?(/(tcp|udp|icmp))?$",
    "list of `TARGET[:PORTS][/PROTOCOL]`: a name, `*.NAME`, an address or network, `*`, `preset:NAME`, `host:PORT`",
);
const PORT: Shape = Shape::List(
    "^(([0-9.]+:|\\[[0-9a-fA-F:.]+\\]:)?[0-9]*:)?[0-9]+(/(tcp|udp))?$",
    "list of `[IP:]HOST:SANDBOX[/udp]`, or `SANDBOX` for any free port of this machine",
);
const NAME_SERVER: Shape = Shape::List(
    "^([0-9.]+|[0-9a-fA-F:.]+|\\[[0-9a-fA-F:.]+\\])(:[0-9]{1,5})?$",
    "list of `IP`, `IP:PORT` or `[IPv6]:PORT`",
);

const fn key(
    name: &'static str,
    scope: Scope,
    shape: Shape,
    texts: [&'static str; 3],
    read: crate::keys::Read,
) -> Key {
    let [default, summary, example] = texts;
    Key {
        table: "network",
        name,
        alias: None,
        scope,
        shape,
        default,
        summary,
        example,
        read,
    }
}

pub(crate) const KEYS: &[Key] = &[
    key(
        "mode",
        Scope::Both,
        Shape::Choice(MODES),
        [
            "`allowlist` where there is `allow`, else by the profile",
            "`none`: nothing. `allowlist`: what `allow` names. `public`: every public address, and of private ones what \
             `allow` names. `open`: private ones as well. `host`: this machine's own network, without any policy.",
            "\"allowlist\"",
        ],
        |values, value, span| {
            let value = shape::choice(value, MODES)?.parse()?;
            values.network.mode = Some(At { value, span });
            Ok(())
        },
    ),
    key(
        "allow",
        Scope::Both,
        RULE,
        [
            "none",
            "What may be reached. Without a protocol a rule means TCP, without ports all of them.",
            "[\"preset:npm\", \"*.example.org:443\"]",
        ],
        |values, value, span| {
            let value = each(value, MAX_RULES, "rules", allowance)?;
            values.network.allow = Some(At { value, span });
            Ok(())
        },
    ),
    key(
        "deny",
        Scope::Both,
        RULE,
        [
            "none",
            "What may not, whatever allows it. Without a protocol a rule means all of them.",
            "[\"*.example.net\"]",
        ],
        |values, value, span| {
            let value = each(value, MAX_RULES, "rules", denial)?;
            values.network.deny = Some(At { value, span });
            Ok(())
        },
    ),
    key(
        "ports",
        Scope::Both,
        PORT,
        [
            "none",
            "Ports of this machine that lead into the sandbox, on the loopback unless an address is given. A project's \
             are on the loopback, and not below 1024. Those of a stronger source stand in place of these.",
            "[\"8080:80\"]",
        ],
        |values, value, span| {
            let value = each(value, MAX_PORTS, "ports", parsed)?;
            values.network.ports = Some(At { value, span });
            Ok(())
        },
    ),
    key(
        "dns",
        Scope::User,
        NAME_SERVER,
        [
            "those of this machine",
            "The name servers that are asked, on port 53 unless one is given. Those of `--dns` stand in place of these.",
            "[\"192.0.2.1\", \"[2001:db8::1]:5353\"]",
        ],
        |values, value, span| {
            let value = each(value, MAX_NAME_SERVERS, "name servers", parsed)?;
            values.network.name_servers = Some(At { value, span });
            Ok(())
        },
    ),
];

fn parsed<T: FromStr<Err = ParseError>>(text: &str) -> Result<T, Fault> {
    Ok(text.parse()?)
}

fn allowance(text: &str) -> Result<NetworkRule, Fault> {
    let rule: NetworkRule = parsed(text)?;
    let policy = NetworkPolicy {
        allow: vec![rule.clone()],
        ..NetworkPolicy::of(NetworkMode::Allowlist)
    };
    means_something(&policy).map(|()| rule)
}

fn denial(text: &str) -> Result<NetworkRule, Fault> {
    let rule: NetworkRule = parsed(text)?;
    let policy = NetworkPolicy {
        deny: vec![rule.clone()],
        ..NetworkPolicy::of(NetworkMode::Allowlist)
    };
    means_something(&policy).map(|()| rule)
}

/// A preset may not exist, and some addresses can never be reached.
fn means_something(policy: &NetworkPolicy) -> Result<(), Fault> {
    let Err(denied) = CompiledNetwork::new(policy) else {
        return Ok(());
    };
    Err(Fault {
        help: Some(denied.way_out),
        ..ParseError::new(format!("{}: {}", denied.what, denied.why)).into()
    })
}

/// Every entry of a list, and a fault at each that is wrong.
fn each<T>(
    value: &DeValue<'_>,
    most: usize,
    what: &str,
    read: fn(&str) -> Result<T, Fault>,
) -> Result<Vec<At<T>>, Wrong> {
    let DeValue::Array(array) = value else {
        return Err(shape::expected("a list of strings", value).into());
    };
    if array.len() > most {
        return Err(ParseError::new(format!("more than {most} {what}")).into());
    }
    let (mut entries, mut faults) = (Vec::new(), Vec::new());
    for entry in array.iter() {
        let text = shape::text(entry.get_ref()).map_err(Fault::from);
        match text.and_then(read) {
            Ok(value) => entries.push(At {
                value,
                span: entry.span(),
            }),
            Err(fault) => faults.push(Fault {
                span: Some(entry.span()),
                ..fault
            }),
        }
    }
    match faults.is_empty() {
        true => Ok(entries),
        false => Err(Wrong(faults)),
    }
}
