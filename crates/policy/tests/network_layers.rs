//! A project tightens and never widens: by table, and by property over decisions.

use std::net::SocketAddr;

use agentkernel_policy::{CompiledNetwork, NetworkLayer, layer_network, tighten_network};
use agentkernel_types::{DomainName, NetworkMode, NetworkPolicy, NetworkRule, Protocol};
use proptest::prelude::*;

use NetworkMode::{Allowlist, None as NoNetwork, Open, Public};

fn rules(texts: &[&str]) -> Vec<NetworkRule> {
    texts.iter().map(|text| text.parse().expect(text)).collect()
}

fn policy(mode: NetworkMode, allow: &[&str], deny: &[&str]) -> NetworkPolicy {
    NetworkPolicy {
        mode,
        allow: rules(allow),
        deny: rules(deny),
    }
}

fn project(mode: Option<NetworkMode>, allow: Option<&[&str]>, deny: &[&str]) -> NetworkLayer {
    NetworkLayer {
        mode,
        allow: allow.map(rules),
        deny: rules(deny),
    }
}

#[test]
fn a_project_may_be_stricter() {
    let user = policy(Public, &["10.0.0.0/8"], &["evil.example"]);
    let wish = project(
        Some(Allowlist),
        Some(&["preset:npm", "10.1.0.0/16:443"]),
        &["bad.example"],
    );
    let tightened = tighten_network(&user, &wish);
    assert_eq!(tightened.refused, []);
    assert_eq!(
        tightened.policy,
        policy(
            Allowlist,
            &["preset:npm", "10.1.0.0/16:443"],
            &["evil.example", "bad.example"]
        )
    );
    let silent = tighten_network(&user, &NetworkLayer::default());
    assert_eq!((silent.policy, silent.refused), (user, Vec::new()));
}

#[test]
fn a_wish_to_widen_is_refused_by_name_with_the_way_out() {
    let user = policy(Allowlist, &["*.example.org:443", "preset:npm"], &[]);
    for mode in [Public, Open, NetworkMode::Host] {
        let refused = tighten_network(&user, &project(Some(mode), None, &[])).refused;
        assert_eq!(refused.len(), 1);
        assert!(
            refused[0].way_out.contains(&format!("--network {mode}")),
            "{refused:?}"
        );
    }
    for (rule, fits) in [
        ("a.example.org:443", true),
        ("*.a.example.org:443", true),
        ("*.example.org:443/tcp", true),
        ("registry.npmjs.org:443", true),
        ("preset:npm", true),
        ("example.org:443", false),
        ("a.example.org", false),
        ("a.example.org:80,443", false),
        ("a.example.org:443/udp", false),
        ("registry.npmjs.org:80", false),
        ("preset:pypi", false),
        ("*", false),
        ("*:443", false),
        ("1.2.3.4", false),
        ("host:80", false),
    ] {
        let tightened = tighten_network(&user, &project(None, Some(&[rule]), &[]));
        assert_eq!(tightened.refused.is_empty(), fits, "{rule}");
        assert_eq!(
            tightened.policy.allow,
            if fits { rules(&[rule]) } else { Vec::new() },
            "{rule}"
        );
        assert!(
            tightened
                .refused
                .iter()
                .all(|denied| denied.way_out.contains(rule)),
            "{rule}"
        );
    }
}

#[test]
fn what_public_leaves_open_a_project_may_name() {
    for (rule, fits) in [
        ("example.org", true),
        ("preset:github", true),
        ("*:443", true),
        ("8.8.8.0/24", true),
        ("[2606:4700::]/32:443", true),
        ("10.0.0.0/8", false),
        ("8.8.8.8", false),
        ("8.0.0.0/5", false),
        ("0.0.0.0/0", false),
        ("168.63.129.16", false),
        ("168.0.0.0/8", false),
        ("9.9.9.9:53/udp", false),
        ("metadata.google.internal", false),
        ("nas.lan", false),
        ("printer", false),
        ("host:11434", false),
    ] {
        let tightened = tighten_network(&policy(Public, &[], &[]), &project(None, Some(&[rule]), &[]));
        assert_eq!(tightened.refused.is_empty(), fits, "{rule}");
    }
}

#[test]
fn flags_are_the_users_own_and_come_on_top() {
    let base = policy(NoNetwork, &["a.example"], &["b.example"]);
    let flags = project(Some(Allowlist), Some(&["c.example", "a.example"]), &["d.example"]);
    let both = layer_network(base, &flags);
    assert_eq!(
        both,
        policy(
            Allowlist,
            &["a.example", "c.example"],
            &["b.example", "d.example"]
        )
    );
}

const RULES: &[&str] = &[
    "*",
    "*:443",
    "*:53/udp",
    "*/udp",
    "*:853",
    "example.org",
    "example.org:443",
    "example.org:443/udp",
    "*.example.org",
    "a.example.org:80",
    "*.a.example.org",
    "dns.google",
    "*.google",
    "dns.google:443",
    "metadata.google.internal",
    "*.internal",
    "*.google.internal",
    "nas.lan",
    "*.lan",
    "printer",
    "0.0.0.0/0",
    "8.0.0.0/8",
    "8.8.8.8",
    "8.8.8.8:53/udp",
    "8.1.1.1",
    "8.1.0.0/16",
    "8.8.8.8:853",
    "10.0.0.0/8",
    "10.0.0.1",
    "10.0.0.0/7",
    "169.254.169.254",
    "169.254.0.0/16",
    "168.63.129.16:80",
    "100.64.0.0/10",
    "[2606:4700::]/32",
    "[fd00:ec2::254]",
    "[64:ff9b::]/96",
    "[64:ff9b::a00:1]",
    "host:80",
    "host:80-90",
    "preset:npm",
    "registry.npmjs.org",
];
const NAMES: [&str; 11] = [
    "example.org",
    "a.example.org",
    "b.a.example.org",
    "dns.google",
    "metadata.google.internal",
    "nas.lan",
    "printer",
    "registry.npmjs.org",
    "x.google",
    "host.agentkernel.internal",
    "other.net",
];
const ADDRESSES: [&str; 11] = [
    "8.8.8.8",
    "8.1.1.1",
    "10.0.0.1",
    "10.9.9.9",
    "169.254.169.254",
    "169.254.1.1",
    "168.63.129.16",
    "100.100.100.200",
    "2606:4700::1",
    "64:ff9b::a00:1",
    "fd00:ec2::254",
];

fn some_rules() -> impl Strategy<Value = Vec<NetworkRule>> {
    prop::collection::vec(prop::sample::select(RULES), 0..6).prop_map(|texts| rules(&texts))
}

fn mode() -> impl Strategy<Value = NetworkMode> {
    prop::sample::select(&[NoNetwork, Allowlist, Public, Open][..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_is_allowed_with_a_project_that_is_not_allowed_without(
        user in (mode(), some_rules(), some_rules()),
        wish in (prop::option::of(mode()), prop::option::of(some_rules()), some_rules()),
    ) {
        let user = NetworkPolicy { mode: user.0, allow: user.1, deny: user.2 };
        let wish = NetworkLayer { mode: wish.0, allow: wish.1, deny: wish.2 };
        let narrow = tighten_network(&user, &wish).policy;
        let own = ["8.1.1.1".parse().unwrap()];
        let wide = CompiledNetwork::new(&user).expect("valid").with_own_addresses(own);
        let tight = CompiledNetwork::new(&narrow).expect("valid").with_own_addresses(own);
        for text in NAMES {
            let name: DomainName = text.parse().unwrap();
            prop_assert!(wide.resolve(&name).allowed || !tight.resolve(&name).allowed, "{name} {narrow:?}");
            for address in ADDRESSES {
                let ip = address.parse().unwrap();
                let pinned = [name.clone()];
                for named in [None, Some(&name)] {
                    let (wide, tight) = (wide.address(named, ip), tight.address(named, ip));
                    prop_assert!(wide.allowed || !tight.allowed, "{name} {ip} {wide:?} {tight:?} {narrow:?}");
                }
                for port in [53, 80, 443, 853] {
                    let to = SocketAddr::new(ip, port);
                    for pinned in [&pinned[..], &[]] {
                        for protocol in Protocol::ALL {
                            let (wide, tight) =
                                (wide.connect(pinned, to, protocol), tight.connect(pinned, to, protocol));
                            prop_assert!(wide.allowed || !tight.allowed, "{name} {to} {wide:?} {tight:?} {narrow:?}");
                        }
                        let (wide, tight) = (wide.authority(&name, pinned, to), tight.authority(&name, pinned, to));
                        prop_assert!(wide.allowed || !tight.allowed, "{name} {to} {wide:?} {tight:?} {narrow:?}");
                    }
                    let (wide, tight) = (wide.anonymous(&pinned, to), tight.anonymous(&pinned, to));
                    prop_assert!(wide.allowed || !tight.allowed, "{name} {to} {wide:?} {tight:?} {narrow:?}");
                }
            }
        }
        for port in [80, 85, 100] {
            prop_assert!(wide.host_service(port, Protocol::Tcp).allowed || !tight.host_service(port, Protocol::Tcp).allowed);
        }
    }
}
