use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn rule(text: &str) -> NetworkRule {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(text: &str) -> String {
    match text.parse::<NetworkRule>() {
        Ok(rule) => panic!("{text:?} is read as {rule:?}"),
        Err(error) => error.0,
    }
}

#[test]
fn a_rule_is_written_back_as_it_was_read() {
    for text in [
        "registry.npmjs.org",
        "*.npmjs.org",
        "*.npmjs.org:443",
        "github.com:22",
        "github.com:22,80,443/tcp",
        "10.0.0.0/8:443/tcp",
        "10.0.0.0/8/udp",
        "192.0.2.1",
        "192.0.2.1/icmp",
        "192.0.2.1:8000-8100/udp",
        "[2001:db8::1]:443",
        "[2001:db8::]/32",
        "[2001:db8::]/32:443/udp",
        "*",
        "*:443",
        "*:25/tcp",
        "preset:npm",
        "preset:google-ai",
        "host:11434",
        "host:11434,11436/tcp",
        "_acme.example.org:443",
        "xn--bcher-kva.example:443",
        "localhost:8080",
    ] {
        assert_eq!(rule(text).to_string(), text);
    }
}

#[test]
fn one_meaning_has_one_spelling() {
    for (written, canonical) in [
        ("Registry.NPMJS.org", "registry.npmjs.org"),
        ("registry.npmjs.org.", "registry.npmjs.org"),
        ("*.Example.ORG.:443", "*.example.org:443"),
        ("example.org:443,80", "example.org:80,443"),
        ("example.org:80-90,85-100,101", "example.org:80-101"),
        ("[2001:DB8:0::1]:443", "[2001:db8::1]:443"),
        ("192.0.2.1/32", "192.0.2.1"),
        ("[::1]/128", "[::1]"),
    ] {
        assert_eq!(rule(written).to_string(), canonical, "{written}");
    }
}

#[test]
fn a_refused_rule_is_named_with_the_way_out() {
    for (text, way_out) in [
        ("", "write a name"),
        ("https://registry.npmjs.org/", "write only its host and port"),
        ("user@example.org", "write only the host and port"),
        ("example.org example.net", "write one target in one rule"),
        ("example.org\n", "write one target in one rule"),
        ("example.org\0", "write one target in one rule"),
        ("example.org/path", "a path cannot be part of a rule"),
        ("example.org/sctp", "use tcp, udp or icmp"),
        ("example.org/TCP", "use tcp, udp or icmp"),
        ("example.org:0", "a number from 1 to 65535"),
        ("example.org:65536", "a number from 1 to 65535"),
        ("example.org:+80", "a number from 1 to 65535"),
        ("example.org:080", "a number from 1 to 65535"),
        ("example.org:", "a number from 1 to 65535"),
        ("example.org:90-80", "a number from 1 to 65535"),
        ("example.org:80,", "a number from 1 to 65535"),
        ("example.org:443/icmp", "icmp has no ports"),
        ("*example.org", "as in *.example.org"),
        ("a.*.example.org", "as in *.example.org"),
        ("**.example.org", "as in *.example.org"),
        ("*.*.org", "use letters, digits"),
        ("bücher.example", "xn--"),
        ("exаmple.org", "xn--"),
        ("example..org", "nothing between two dots"),
        (".example.org", "nothing between two dots"),
        ("example.org..", "nothing between two dots"),
        ("-a.example.org", "begin or end with '-'"),
        ("2001:db8::1", "stands in brackets"),
        ("2001:db8::1:443", "stands in brackets"),
        ("::1", "stands in brackets"),
        ("[::ffff:10.0.0.1]:443", "write it as 10.0.0.1"),
        ("[fe80::1%eth0]:443", "write it as in 192.0.2.1"),
        ("10.1.2.3/8", "write 10.0.0.0/8"),
        ("10.0.0.0/33", "0 to 32"),
        ("10.0.0.0/08", "0 to 32"),
        ("[2001:db8::1]/32", "write [2001:db8::]/32"),
        ("127.1", "write the address in its usual form"),
        ("0x7f000001", "write the address in its usual form"),
        ("2130706433", "write the address in its usual form"),
        ("0177.0.0.1", "write the address in its usual form"),
        ("1.2.3.4.5", "write the address in its usual form"),
        ("256.1.1.1", "write the address in its usual form"),
        ("preset:", "as in preset:npm"),
        ("preset:NPM", "as in preset:npm"),
        ("preset:npm:443", "as in preset:npm"),
        ("preset", "write preset:NAME"),
        ("host", "write host:PORT"),
        ("host:80/icmp", "icmp has no ports"),
        ("HOST:80", "in lower case"),
        ("Preset:80", "in lower case"),
        ("host.:80", "in lower case"),
    ] {
        let why = refusal(text);
        assert!(why.contains(way_out), "{text:?}: {why}");
        assert!(why.contains(&format!("{text:?}")), "{why}");
    }
}

#[test]
fn a_giant_is_refused_before_it_is_read() {
    assert!(refusal(&"a".repeat(1 << 20)).len() < 200);
    assert!(refusal(&format!("a.b:{}", vec!["1"; 65].join(","))).contains("write several rules"));
    assert!("a".repeat(1 << 20).parse::<DomainName>().unwrap_err().0.len() < 500);
}

#[test]
fn the_lengths_of_names_are_those_of_dns() {
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
    assert_eq!(longest.len(), DomainName::MAX_LENGTH);
    assert_eq!(longest.parse::<DomainName>().unwrap().as_str(), longest);
    assert!(format!("{longest}a").parse::<DomainName>().is_err());
    assert!("a".repeat(64).parse::<DomainName>().is_err());
}

#[test]
fn labels_of_a_message_make_a_name_only_if_text_would() {
    let name = |labels: &[&[u8]]| DomainName::from_labels(labels.iter().copied());
    assert_eq!(
        name(&[b"WWW", b"example", b"org"]).unwrap().as_str(),
        "www.example.org"
    );
    for wrong in [
        &[b"www.example".as_slice(), b"org"] as &[&[u8]],
        &[b"example", b"org."],
        &[b"www", b"", b"org"],
        &[b"\xff", b"org"],
        &[b"a\0", b"org"],
        &[b"a b", b"org"],
        &[b"127", b"0", b"0", b"1"],
        &[],
    ] {
        assert!(name(wrong).is_err(), "{wrong:?}");
    }
    assert!(DomainName::from_labels(std::iter::repeat_n(b"a".as_slice(), 1 << 20)).is_err());
}

#[test]
fn a_name_lies_within_its_zone_only_at_a_dot() {
    let name = |text: &str| text.parse::<DomainName>().unwrap();
    assert!(name("a.b.org").is_within(&name("b.org")));
    assert!(name("b.org").is_within(&name("b.org")));
    assert!(!name("ab.org").is_within(&name("b.org")));
    assert!(!name("org").is_within(&name("b.org")));
    assert!(name("a.b.org").suffixes().eq(["a.b.org", "b.org", "org"]));
}

#[test]
fn a_policy_reads_and_writes_json_and_refuses_what_it_does_not_know() {
    let text = r#"{"mode":"allowlist","allow":["preset:npm","github.com:22"],"deny":["*.example.org"]}"#;
    let policy: NetworkPolicy = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&policy).unwrap(), text);
    assert_eq!(
        serde_json::to_string(&NetworkPolicy::of(NetworkMode::None)).unwrap(),
        r#"{"mode":"none"}"#
    );
    for unknown in [
        r#"{"mode":"allowlist","intercept":["example.org"]}"#,
        r#"{"mode":"allowlist","allow":[{"to":"example.org","methods":["GET"]}]}"#,
        r#"{"mode":"public","allow":["https://example.org"]}"#,
        r#"{"mode":"wide"}"#,
        r#"{"allow":[]}"#,
    ] {
        assert!(
            serde_json::from_str::<NetworkPolicy>(unknown).is_err(),
            "{unknown}"
        );
    }
}

#[test]
fn the_order_of_modes_is_strictness() {
    assert!(NetworkMode::ALL.is_sorted());
    for mode in NetworkMode::ALL {
        assert_eq!(mode.as_str().parse(), Ok(mode));
    }
    assert!(
        "wide"
            .parse::<NetworkMode>()
            .unwrap_err()
            .0
            .contains("\"wide\": use none")
    );
}

#[cfg(feature = "schema")]
#[test]
fn the_schema_takes_rules_as_text_and_no_unknown_key() {
    let schema = serde_json::to_value(schemars::schema_for!(NetworkPolicy)).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["$defs"]["NetworkRule"]["type"], "string");
    assert_eq!(schema["required"], serde_json::json!(["mode"]));
}

fn name() -> impl Strategy<Value = DomainName> {
    "[a-z0-9_]([a-z0-9_-]{0,8}[a-z0-9_])?(\\.[a-z]([a-z0-9-]{0,6}[a-z0-9])?){0,3}"
        .prop_filter_map("an address in disguise", |text| text.parse().ok())
}

fn ports() -> impl Strategy<Value = Ports> {
    prop::collection::vec((1u16.., 0u16..200), 1..5).prop_map(|ranges| {
        let text: Vec<String> = ranges
            .into_iter()
            .map(|(first, more)| format!("{first}-{}", first.saturating_add(more)))
            .collect();
        text.join(",").parse().expect("the ranges are in order")
    })
}

fn network() -> impl Strategy<Value = IpNetwork> {
    let four = any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from(bits)));
    let six = any::<u128>()
        .prop_map(Ipv6Addr::from)
        .prop_filter("an IPv4 address", |six| six.to_ipv4_mapped().is_none())
        .prop_map(IpAddr::V6);
    (prop_oneof![four, six], 0u8..=128)
        .prop_map(|(address, prefix)| {
            let most = if address.is_ipv4() { 32 } else { 128 };
            IpNetwork::containing(address, prefix.min(most)).expect("the prefix fits")
        })
        .prop_filter(
            "an IPv4 address",
            |block| !matches!(block.address(), IpAddr::V6(six) if six.to_ipv4_mapped().is_some()),
        )
}

fn any_rule() -> impl Strategy<Value = NetworkRule> {
    let target = prop_oneof![
        name()
            .prop_filter("a word of the grammar", |name| !["host", "preset"]
                .contains(&name.as_str()))
            .prop_map(Target::Name),
        name().prop_map(Target::Below),
        Just(Target::Any),
        network().prop_map(Target::Network),
    ];
    let protocol = prop_oneof![Just(None), Just(Some(Protocol::Tcp)), Just(Some(Protocol::Udp))];
    (target, prop::option::of(ports()), protocol).prop_map(|(to, ports, protocol)| NetworkRule {
        to,
        ports,
        protocol,
    })
}

proptest! {
    #[test]
    fn every_rule_survives_a_round_trip(rule in any_rule()) {
        let text = rule.to_string();
        prop_assert_eq!(text.parse::<NetworkRule>(), Ok(rule.clone()), "{}", text);
        let json = serde_json::to_string(&rule).unwrap();
        prop_assert_eq!(serde_json::from_str::<NetworkRule>(&json).unwrap(), rule);
    }

    #[test]
    fn what_is_accepted_means_the_same_when_it_is_read_again(text in "(preset:|host:|\\*\\.|\\[)?[a-z0-9.:/\\[\\]*,_-]{0,40}(/tcp|/udp|/icmp)?") {
        if let Ok(rule) = text.parse::<NetworkRule>() {
            prop_assert_eq!(rule.to_string().parse::<NetworkRule>(), Ok(rule));
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = text.parse::<NetworkRule>();
        if let Ok(name) = text.parse::<DomainName>() {
            prop_assert_eq!(name.as_str().parse::<DomainName>(), Ok(name.clone()));
            prop_assert!(text.parse::<IpAddr>().is_err());
        }
    }

    #[test]
    fn a_block_has_its_addresses_and_no_other(block in network(), bits in any::<u128>()) {
        prop_assert!(block.contains(block.address()));
        prop_assert!(block.overlaps(&block));
        let other = IpAddr::V6(Ipv6Addr::from(bits));
        if let IpAddr::V6(six) = block.address() {
            let shift = 128 - u32::from(block.prefix());
            let same = bits.checked_shr(shift) == u128::from(six).checked_shr(shift);
            prop_assert_eq!(block.contains(other), same);
        } else {
            prop_assert!(!block.contains(other));
        }
    }
}
