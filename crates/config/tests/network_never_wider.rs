//! A project can never widen: whatever it says, nothing is reached that is not reached without it.

mod support;

use std::{collections::BTreeSet, fmt::Write as _, net::SocketAddr};

use agentkernel_config::{ConfigError, Overrides, Resolved};
use agentkernel_policy::CompiledNetwork;
use agentkernel_types::{DomainName, NetworkMode, NetworkPolicy, NetworkRule, Profile, Protocol};
use proptest::prelude::*;
use support::Place;

const RULES: &[&str] = &[
    "*",
    "*:443",
    "*:53/udp",
    "example.org",
    "example.org:443",
    "*.example.org",
    "a.example.org:80",
    "dns.google",
    "metadata.google.internal",
    "nas.lan",
    "0.0.0.0/0",
    "8.8.8.8",
    "8.8.8.8:53/udp",
    "8.8.8.0/24",
    "10.0.0.0/8",
    "10.0.0.1",
    "169.254.169.254",
    "[2606:4700::]/32",
    "host:80",
    "preset:npm",
    "registry.npmjs.org:443",
];
const NAMES: [&str; 8] = [
    "example.org",
    "a.example.org",
    "dns.google",
    "metadata.google.internal",
    "nas.lan",
    "registry.npmjs.org",
    "host.agentkernel.internal",
    "other.net",
];
const ADDRESSES: [&str; 6] = [
    "8.8.8.8",
    "10.0.0.1",
    "10.9.9.9",
    "169.254.169.254",
    "2606:4700::1",
    "fd00:ec2::254",
];

/// What one file says about the network.
#[derive(Clone, Debug)]
struct File {
    profile: Option<Profile>,
    granted: Option<bool>,
    mode: Option<NetworkMode>,
    allow: Option<Vec<&'static str>>,
    deny: Vec<&'static str>,
}

impl File {
    fn text(&self) -> String {
        let mut text = "[security]\n".to_owned();
        let mut line =
            |key: &str, value: String| writeln!(text, "{key} = {value}").expect("a string takes all");
        if let Some(profile) = self.profile {
            line("profile", format!("\"{profile}\""));
        }
        if let Some(granted) = self.granted {
            line("network", granted.to_string());
        }
        line("[network]\ndeny", format!("{:?}", self.deny));
        if let Some(mode) = self.mode {
            line("mode", format!("\"{mode}\""));
        }
        if let Some(allow) = &self.allow {
            line("allow", format!("{allow:?}"));
        }
        text
    }
}

fn some_rules(most: usize) -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(RULES), 0..=most)
}

fn file() -> impl Strategy<Value = File> {
    (
        prop::option::of(prop::sample::select(&Profile::ALL[..])),
        prop::option::weighted(0.2, any::<bool>()),
        prop::option::of(prop::sample::select(&NetworkMode::ALL[..])),
        prop::option::of(some_rules(3)),
        some_rules(1),
    )
        .prop_map(|(profile, granted, mode, allow, deny)| File {
            profile,
            granted,
            mode,
            allow,
            deny,
        })
}

fn flags() -> impl Strategy<Value = Overrides> {
    let rules = |list: Vec<&str>| -> Vec<NetworkRule> {
        list.into_iter().map(|text| text.parse().expect(text)).collect()
    };
    (
        prop::option::weighted(0.2, prop::sample::select(&Profile::ALL[..])),
        prop::option::weighted(0.2, prop::sample::select(&NetworkMode::ALL[..])),
        prop_oneof![2 => Just(Vec::new()), 1 => some_rules(2)],
        prop_oneof![3 => Just(Vec::new()), 1 => some_rules(1)],
    )
        .prop_map(move |(profile, network, allow, deny)| Overrides {
            profile,
            network,
            allow: rules(allow),
            deny: rules(deny),
            ..Overrides::default()
        })
}

/// Every probe that is allowed.
fn reached(policy: &NetworkPolicy) -> BTreeSet<String> {
    let network = CompiledNetwork::new(policy).expect("a policy in force is valid");
    let mut reached = BTreeSet::new();
    let mut note = |allowed: bool, what: String| {
        if allowed {
            reached.insert(what);
        }
    };
    for port in [80, 443] {
        let verdict = network.host_service(port, Protocol::Tcp);
        note(verdict.allowed, format!("host:{port}"));
    }
    for text in NAMES {
        let name: DomainName = text.parse().expect("a name");
        note(network.resolve(&name).allowed, name.to_string());
        for address in ADDRESSES {
            let address = address.parse().expect("an address");
            note(
                network.address(Some(&name), address).allowed,
                format!("{name} {address}"),
            );
            for port in [53, 80, 443, 853] {
                let to = SocketAddr::new(address, port);
                for protocol in Protocol::ALL {
                    for pinned in [&[name.clone()][..], &[]] {
                        let verdict = network.connect(pinned, to, protocol);
                        note(verdict.allowed, format!("{pinned:?} {to}/{protocol}"));
                    }
                }
                let verdict = network.authority(&name, std::slice::from_ref(&name), to);
                note(verdict.allowed, format!("{name} as {to}"));
            }
        }
    }
    reached
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_global_rejects: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_reached_with_a_project_that_is_not_reached_without_it(
        user in file(),
        project in file(),
        variable in prop::option::weighted(0.1, prop::sample::select(&NetworkMode::ALL[..])),
        flags in flags(),
    ) {
        let place = || {
            let place = Place::new().user(user.text()).flags(flags.clone());
            match variable {
                Some(mode) => place.variable("AGENTKERNEL_NETWORK", mode.as_str()),
                None => place,
            }
        };
        let without = place().resolve();
        let with = place().project(project.text()).resolve();
        // A refused project reaches nothing. One that is stricter may give sense to a flag that had none.
        prop_assume!(with.is_ok() && without.is_ok());
        let policy = |settings: Result<Resolved, ConfigError>| settings.expect("it was looked at").network.value;
        let (without, with) = (policy(without), policy(with));
        prop_assert!(with.mode <= without.mode, "{with:?} is looser than {without:?}");
        let wide = reached(&without);
        let more = reached(&with).difference(&wide).next().cloned();
        prop_assert_eq!(more, None, "is reached with {:?} and not with {:?}", with, without);
    }
}

#[test]
fn the_probes_tell_policies_apart() {
    let count = |mode| reached(&NetworkPolicy::of(mode)).len();
    assert_eq!(count(NetworkMode::None), 0);
    let counts = NetworkMode::ALL.map(count);
    assert!(
        counts.is_sorted() && counts[2] < counts[3] && counts[3] < counts[4],
        "{counts:?}"
    );
}
