//! Where a sandbox may connect to, by table.

use std::net::{IpAddr, SocketAddr};

use agentkernel_policy::{CompiledNetwork, Denied, PRESETS, Verdict, find_preset};
use agentkernel_types::{DomainName, NetworkMode, NetworkPolicy, NetworkRule, Protocol};

fn rules(texts: &[&str]) -> Vec<NetworkRule> {
    texts.iter().map(|text| text.parse().expect(text)).collect()
}

fn compile(mode: NetworkMode, allow: &[&str], deny: &[&str]) -> Result<CompiledNetwork, Denied> {
    CompiledNetwork::new(&NetworkPolicy {
        mode,
        allow: rules(allow),
        deny: rules(deny),
    })
}

fn policy(mode: NetworkMode, allow: &[&str], deny: &[&str]) -> CompiledNetwork {
    compile(mode, allow, deny).expect("the policy is valid")
}

fn name(text: &str) -> DomainName {
    text.parse().expect(text)
}

fn address(text: &str) -> IpAddr {
    text.parse().expect(text)
}

fn tcp(policy: &CompiledNetwork, pinned: &[&str], to: &str) -> Verdict {
    let pinned: Vec<DomainName> = pinned.iter().map(|text| name(text)).collect();
    let to: SocketAddr = to.parse().expect(to);
    policy.connect(&pinned, to, Protocol::Tcp)
}

#[track_caller]
fn allowed(verdict: &Verdict) {
    assert!(verdict.allowed, "{verdict:?}");
    assert_eq!(verdict.remedy, None);
}

#[track_caller]
fn denied(verdict: &Verdict, rule: &str) {
    assert!(!verdict.allowed, "{verdict:?}");
    assert_eq!(verdict.rule, rule, "{verdict:?}");
    assert!(!verdict.reason.ends_with('.'), "{verdict:?}");
}

use NetworkMode::{Allowlist, Host, None as NoNetwork, Open, Public};

/// Every way in which 169.254.169.254, 10.0.0.1 or 127.0.0.1 hides in an IPv6 address.
fn spellings(four: [u8; 4]) -> Vec<IpAddr> {
    let [a, b, c, d] = four;
    let high = u16::from(a) << 8 | u16::from(b);
    let low = u16::from(c) << 8 | u16::from(d);
    [
        format!("::ffff:{high:x}:{low:x}"),
        format!("::{high:x}:{low:x}"),
        format!("::ffff:0:{high:x}:{low:x}"),
        format!("64:ff9b::{high:x}:{low:x}"),
        format!("64:ff9b:1::{high:x}:{low:x}"),
        format!("64:ff9b:1:abcd::{high:x}:{low:x}"),
        format!("64:ff9b:1:{high:x}:{:x}:{:x}::", low >> 8, (low & 0xff) << 8),
        format!("2002:{high:x}:{low:x}::1"),
        format!("2001:0:{high:x}:{low:x}::1"),
        format!("2001:0:808:808:0:0:{:x}:{:x}", !high, !low),
        format!("2600::5efe:{high:x}:{low:x}"),
        format!("2600::200:5efe:{high:x}:{low:x}"),
    ]
    .iter()
    .map(|text| address(text))
    .collect()
}

const METADATA: [&str; 11] = [
    "169.254.169.254",
    "fd00:ec2::254",
    "fd20:ce::254",
    "169.254.170.2",
    "169.254.170.23",
    "fd00:ec2::23",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.0.23",
    "192.0.0.192",
    "fd00:42::42",
];

#[test]
fn metadata_is_denied_in_every_mode_and_spelling() {
    let wide = [
        "*",
        "0.0.0.0/0",
        "169.254.0.0/16",
        "100.64.0.0/10",
        "[fd00::]/8",
        "[::]/0",
        "example.org",
    ];
    for mode in [Allowlist, Public, Open] {
        let policy = policy(mode, &wide, &[]);
        let mut all: Vec<IpAddr> = METADATA.iter().map(|text| address(text)).collect();
        all.extend(spellings([169, 254, 169, 254]));
        all.extend(spellings([100, 100, 100, 200]));
        all.extend(spellings([168, 63, 129, 16]));
        for ip in all {
            for port in [80, 443] {
                let pinned = [name("example.org")];
                let verdict = policy.connect(&pinned, SocketAddr::new(ip, port), Protocol::Tcp);
                denied(&verdict, "cloud metadata");
            }
            denied(&policy.address(Some(&name("example.org")), ip), "cloud metadata");
        }
        for text in [
            "metadata.google.internal",
            "metadata.goog",
            "metadata",
            "instance-data",
        ] {
            denied(&policy.resolve(&name(text)), "cloud metadata");
        }
    }
}

#[test]
fn metadata_is_opened_by_exactly_its_address_or_name() {
    for mode in [Allowlist, Public, Open] {
        let by_address = policy(mode, &["169.254.169.254:80"], &[]);
        allowed(&tcp(&by_address, &[], "169.254.169.254:80"));
        denied(&tcp(&by_address, &[], "169.254.169.254:443"), "cloud metadata");
        denied(
            &tcp(&by_address, &[], "[::ffff:169.254.169.254]:80"),
            "cloud metadata",
        );
        let by_name = policy(mode, &["metadata.google.internal:80"], &[]);
        let metadata = name("metadata.google.internal");
        allowed(&by_name.resolve(&metadata));
        allowed(&by_name.address(Some(&metadata), address("169.254.169.254")));
        allowed(&tcp(
            &by_name,
            &["metadata.google.internal"],
            "169.254.169.254:80",
        ));
        denied(
            &tcp(&by_name, &["example.org"], "169.254.169.254:80"),
            "cloud metadata",
        );
        let by_zone = policy(mode, &["*.google.internal", "*.internal"], &[]);
        denied(&by_zone.resolve(&metadata), "cloud metadata");
        // Somebody else's name that leads there.
        let rebound = policy(mode, &["example.org", "intranet"], &[]);
        for text in ["example.org", "intranet"] {
            denied(
                &rebound.address(Some(&name(text)), address("169.254.169.254")),
                "cloud metadata",
            );
        }
    }
}

#[test]
fn a_remedy_is_the_command_and_the_command_helps() {
    let closed = policy(Allowlist, &[], &[]).for_sandbox("dev");
    let verdict = closed.resolve(&name("registry.npmjs.org"));
    assert_eq!(
        verdict.remedy.as_deref(),
        Some("agentkernel policy allow dev registry.npmjs.org:443")
    );
    for (to, protocol) in [
        ("93.184.215.14:443", Protocol::Tcp),
        ("10.1.2.3:5432", Protocol::Tcp),
        ("[2606:4700::1111]:443", Protocol::Udp),
        ("169.254.169.254:80", Protocol::Tcp),
        ("93.184.215.14:0", Protocol::Icmp),
        ("9.9.9.9:53", Protocol::Udp),
        ("9.9.9.9:853", Protocol::Tcp),
        ("[64:ff9b::a00:1]:443", Protocol::Tcp),
    ] {
        for mode in [Allowlist, Public] {
            let to: SocketAddr = to.parse().unwrap();
            let verdict = policy(mode, &[], &[]).connect(&[], to, protocol);
            let Some(remedy) = verdict.remedy else {
                assert!(verdict.allowed, "{verdict:?}");
                continue;
            };
            let rule = remedy
                .strip_prefix("agentkernel policy allow NAME ")
                .expect("the command");
            allowed(&policy(mode, &[rule], &[]).connect(&[], to, protocol));
        }
    }
    for unreachable in [
        "127.0.0.1:80",
        "[::1]:80",
        "0.0.0.0:80",
        "224.0.0.1:80",
        "[::ffff:127.0.0.1]:80",
    ] {
        assert_eq!(tcp(&closed, &[], unreachable).remedy, None, "{unreachable}");
    }
}

#[test]
fn nothing_leads_to_the_machine_itself() {
    let wide = [
        "*",
        "0.0.0.0/0",
        "[::]/0",
        "localhost",
        "example.org",
        "[64:ff9b::7f00:1]",
    ];
    for mode in [Allowlist, Public, Open] {
        let policy = policy(mode, &wide, &[]);
        let mut all = spellings([127, 0, 0, 1]);
        // Without the spelling that could as well be of another address.
        let zeroes = spellings([0, 0, 0, 0]).into_iter();
        all.extend(zeroes.filter(|ip| *ip != address("64:ff9b:1:abcd::")));
        for text in [
            "127.0.0.1",
            "127.255.255.254",
            "::1",
            "::",
            "0.0.0.0",
            "0.1.2.3",
            "255.255.255.255",
            "ff02::1",
        ] {
            all.push(address(text));
        }
        for ip in all {
            for protocol in Protocol::ALL {
                let verdict = policy.connect(&[name("localhost")], SocketAddr::new(ip, 80), protocol);
                assert!(!verdict.allowed, "{mode} {ip} {verdict:?}");
                assert!(verdict.rule.starts_with("range "), "{ip} {verdict:?}");
            }
            assert!(!policy.address(Some(&name("localhost")), ip).allowed, "{ip}");
        }
    }
    for rule in [
        "127.0.0.1",
        "127.0.0.0/8",
        "[::1]",
        "224.0.0.0/8",
        "[ff00::]/8",
        "0.0.0.0",
    ] {
        let error = compile(Open, &[rule], &[]).unwrap_err();
        assert!(error.way_out.contains("host:PORT"), "{error:?}");
        assert!(
            compile(Open, &[], &[rule]).is_ok(),
            "a denial may be as wide as one likes"
        );
    }
}

#[test]
fn ranges_that_are_not_public_are_closed_in_public() {
    let public = policy(Public, &["example.org", "*"], &[]);
    for text in [
        "10.0.0.1",
        "100.64.0.1",
        "169.254.1.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "240.0.0.1",
        "100::1",
        "2001:db8::1",
        "2001:2::1",
        "2002:808:808::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fd12::1",
        "fe80::1",
        "fec0::1",
        "::ffff:8.8.8.8",
    ] {
        let verdict = public.connect(
            &[name("example.org")],
            SocketAddr::new(address(text), 443),
            Protocol::Tcp,
        );
        assert!(
            !verdict.allowed && verdict.rule.starts_with("range "),
            "{text} {verdict:?}"
        );
    }
    for ip in spellings([10, 0, 0, 1]) {
        assert!(!public.address(None, ip).allowed, "{ip}");
    }
    for text in [
        "8.8.8.8",
        "192.0.0.9",
        "172.32.0.1",
        "2606:4700::1111",
        "2001:20::1",
        "64:ff9b::808:808",
    ] {
        allowed(&public.connect(&[], SocketAddr::new(address(text), 443), Protocol::Tcp));
    }
    let named = policy(Public, &["10.1.0.0/16:443", "0.0.0.0/0"], &[]);
    allowed(&tcp(&named, &[], "10.1.2.3:443"));
    denied(&tcp(&named, &[], "10.1.2.3:80"), "range 10.0.0.0/8");
    denied(&tcp(&named, &[], "10.2.2.3:443"), "range 10.0.0.0/8");
    allowed(&tcp(&policy(Open, &[], &[]), &[], "10.1.2.3:80"));
}

#[test]
fn a_public_name_never_leads_into_a_private_network() {
    for mode in [Allowlist, Public] {
        let policy = policy(
            mode,
            &["example.org", "git.corp.internal:443", "*.lan", "printer"],
            &[],
        );
        let private = address("192.168.1.1");
        denied(
            &policy.address(Some(&name("example.org")), private),
            "range 192.168.0.0/16",
        );
        denied(
            &tcp(&policy, &["example.org"], "192.168.1.1:443"),
            "range 192.168.0.0/16",
        );
        for text in ["git.corp.internal", "nas.lan", "printer"] {
            allowed(&policy.address(Some(&name(text)), private));
            allowed(&tcp(&policy, &[text], "192.168.1.1:443"));
            denied(
                &policy.address(Some(&name(text)), address("169.254.1.1")),
                "range 169.254.0.0/16",
            );
        }
        denied(
            &tcp(&policy, &["git.corp.internal"], "192.168.1.1:22"),
            "range 192.168.0.0/16",
        );
    }
}

#[test]
fn the_hosts_own_addresses_are_not_public() {
    let own = [address("93.184.215.14").into(), address("2606:4700::1111").into()];
    for mode in [Allowlist, Public] {
        let policy = policy(mode, &["example.org", "93.184.0.0/16", "*"], &[]).with_own_addresses(own);
        for to in [
            "93.184.215.14:443",
            "[2606:4700::1111]:443",
            "[64:ff9b::5db8:d70e]:443",
        ] {
            denied(&tcp(&policy, &["example.org"], to), "the host's own addresses");
        }
        allowed(&tcp(&policy, &["example.org"], "93.184.215.15:443"));
    }
    let named = policy(Public, &["93.184.215.14:443"], &[]).with_own_addresses(own);
    allowed(&tcp(&named, &[], "93.184.215.14:443"));
}

#[test]
fn in_allowlist_only_a_pinned_name_or_an_address_rule_leads_out() {
    let policy = policy(
        Allowlist,
        &["example.org:443", "*.example.net", "9.9.9.0/24:8080"],
        &[],
    );
    allowed(&policy.resolve(&name("example.org")));
    allowed(&policy.resolve(&name("a.b.example.net")));
    for text in [
        "example.net",
        "a.example.org",
        "badexample.net",
        "example.org.evil.com",
        "org",
    ] {
        denied(&policy.resolve(&name(text)), "mode allowlist");
    }
    allowed(&tcp(&policy, &["example.org"], "1.2.3.4:443"));
    allowed(&tcp(&policy, &["other.org", "example.org"], "1.2.3.4:443"));
    denied(&tcp(&policy, &["example.org"], "1.2.3.4:80"), "mode allowlist");
    denied(&tcp(&policy, &["example.net"], "1.2.3.4:443"), "mode allowlist");
    denied(&tcp(&policy, &[], "1.2.3.4:443"), "mode allowlist");
    allowed(&tcp(&policy, &[], "9.9.9.9:8080"));
    denied(&tcp(&policy, &[], "9.9.9.9:443"), "mode allowlist");
    for protocol in [Protocol::Udp, Protocol::Icmp] {
        let to = "1.2.3.4:443".parse().unwrap();
        denied(
            &policy.connect(&[name("example.org")], to, protocol),
            "mode allowlist",
        );
    }
}

#[test]
fn udp_and_echo_need_a_rule_that_says_so() {
    let policy = policy(Allowlist, &["example.org:443/udp", "9.9.9.9/icmp"], &[]);
    let to = "1.2.3.4:443".parse().unwrap();
    allowed(&policy.connect(&[name("example.org")], to, Protocol::Udp));
    denied(
        &policy.connect(&[name("example.org")], to, Protocol::Tcp),
        "mode allowlist",
    );
    allowed(&policy.connect(&[], "9.9.9.9:0".parse().unwrap(), Protocol::Icmp));
    denied(&policy.connect(&[], to, Protocol::Icmp), "mode allowlist");
}

#[test]
fn a_denial_wins_over_every_allowance() {
    for mode in [Allowlist, Public, Open] {
        let allow = ["*", "*.example.org", "bad.example.org", "1.2.3.4", "1.2.3.0/24"];
        let policy = policy(
            mode,
            &allow,
            &["bad.example.org", "1.2.3.4:25", "*:6667", "5.6.0.0/16"],
        );
        denied(&policy.resolve(&name("bad.example.org")), "deny bad.example.org");
        allowed(&policy.resolve(&name("good.example.org")));
        denied(
            &tcp(&policy, &["bad.example.org"], "8.8.8.8:443"),
            "deny bad.example.org",
        );
        allowed(&tcp(
            &policy,
            &["bad.example.org", "good.example.org"],
            "8.8.8.8:443",
        ));
        denied(
            &tcp(&policy, &["good.example.org"], "1.2.3.4:25"),
            "deny 1.2.3.4:25",
        );
        denied(
            &tcp(&policy, &["good.example.org"], "8.8.8.8:6667"),
            "deny *:6667",
        );
        allowed(&tcp(&policy, &[], "1.2.3.4:443"));
        // In its other spellings, too.
        for ip in spellings([5, 6, 7, 8]) {
            let verdict = policy.connect(
                &[name("good.example.org")],
                SocketAddr::new(ip, 443),
                Protocol::Tcp,
            );
            assert!(!verdict.allowed, "{ip} {verdict:?}");
            denied(
                &policy.address(Some(&name("good.example.org")), ip),
                "deny 5.6.0.0/16",
            );
        }
        let to = "8.8.8.8:443".parse().unwrap();
        denied(
            &policy.authority(&name("bad.example.org"), &[name("good.example.org")], to),
            "deny bad.example.org",
        );
    }
}

#[test]
fn a_claimed_name_is_pinned_to_the_address_and_allowed_on_the_port() {
    let policy = policy(Allowlist, &["example.org:443", "cdn.net", "10.0.0.0/8"], &[]);
    let to: SocketAddr = "1.2.3.4:443".parse().unwrap();
    let pinned = [name("example.org")];
    allowed(&policy.authority(&name("example.org"), &pinned, to));
    denied(&policy.authority(&name("cdn.net"), &pinned, to), "pinned names");
    denied(
        &policy.authority(&name("evil.net"), &pinned, to),
        "mode allowlist",
    );
    denied(
        &policy.authority(&name("example.org"), &pinned, "1.2.3.4:80".parse().unwrap()),
        "mode allowlist",
    );
    denied(&policy.anonymous(&pinned, to), "pinned names");
    allowed(&policy.anonymous(&[], "10.0.0.1:443".parse().unwrap()));
    allowed(&policy.authority(&name("any.thing"), &[], "10.0.0.1:443".parse().unwrap()));
}

#[test]
fn lookups_elsewhere_are_closed() {
    let wide = policy(Allowlist, &["*", "9.9.9.9", "*.google", "example.org"], &[]);
    for to in ["9.9.9.9:53", "8.8.8.8:53"] {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let verdict = wide.connect(&[name("example.org")], to.parse().unwrap(), protocol);
            denied(&verdict, "foreign resolvers");
        }
    }
    denied(&tcp(&wide, &[], "9.9.9.9:853"), "foreign resolvers");
    denied(&tcp(&wide, &["example.org"], "8.8.8.8:853"), "mode allowlist");
    for text in [
        "dns.google",
        "x.cloudflare-dns.com",
        "dns.quad9.net",
        "mozilla.cloudflare-dns.com",
    ] {
        denied(&wide.resolve(&name(text)), "foreign resolvers");
        let to = "8.8.8.8:443".parse().unwrap();
        denied(
            &wide.authority(&name(text), &[name(text)], to),
            "foreign resolvers",
        );
    }
    let named = policy(
        Allowlist,
        &["dns.google:443", "9.9.9.9:53/udp", "9.9.9.9:853"],
        &[],
    );
    allowed(&named.resolve(&name("dns.google")));
    allowed(&named.connect(&[], "9.9.9.9:53".parse().unwrap(), Protocol::Udp));
    allowed(&tcp(&named, &[], "9.9.9.9:853"));
    let public = policy(Public, &[], &[]);
    denied(&tcp(&public, &[], "9.9.9.9:53"), "foreign resolvers");
    allowed(&tcp(&public, &[], "9.9.9.9:853"));
    allowed(&tcp(&policy(Open, &[], &[]), &[], "9.9.9.9:53"));
}

#[test]
fn services_of_the_host_are_opened_one_by_one() {
    let host = name(CompiledNetwork::HOST_NAME);
    for mode in [Allowlist, Public, Open] {
        let policy = policy(mode, &["host:11434"], &[]);
        allowed(&policy.resolve(&host));
        allowed(&policy.host_service(11434, Protocol::Tcp));
        let verdict = policy.host_service(22, Protocol::Tcp);
        denied(&verdict, "host services");
        assert_eq!(
            verdict.remedy.as_deref(),
            Some("agentkernel policy allow NAME host:22")
        );
        denied(&policy.host_service(11434, Protocol::Udp), "host services");
    }
    denied(&policy(Allowlist, &["*"], &[]).resolve(&host), "host services");
    denied(
        &policy(Open, &["*"], &[]).host_service(80, Protocol::Tcp),
        "host services",
    );
    denied(
        &policy(Open, &["host:80"], &["host:80"]).host_service(80, Protocol::Tcp),
        "deny host:80",
    );
    denied(
        &policy(NoNetwork, &["host:80"], &[]).host_service(80, Protocol::Tcp),
        "mode none",
    );
}

#[test]
fn none_is_nothing_and_host_is_no_policy() {
    let none = policy(NoNetwork, &["*", "1.2.3.4"], &[]);
    denied(&none.resolve(&name("example.org")), "mode none");
    denied(&none.address(None, address("1.2.3.4")), "mode none");
    denied(&tcp(&none, &["example.org"], "1.2.3.4:443"), "mode none");
    denied(
        &none.authority(&name("example.org"), &[], "1.2.3.4:443".parse().unwrap()),
        "mode none",
    );
    denied(&none.anonymous(&[], "1.2.3.4:443".parse().unwrap()), "mode none");
    allowed(&tcp(&policy(Host, &[], &[]), &[], "127.0.0.1:1"));
}

#[test]
fn every_preset_is_valid_sourced_and_no_wider_than_a_zone() {
    assert!(PRESETS.is_sorted_by(|a, b| a.name < b.name));
    for preset in PRESETS {
        assert!(preset.source.starts_with("https://"), "{}", preset.name);
        assert!(
            !preset.about.is_empty() && !preset.rules.is_empty(),
            "{}",
            preset.name
        );
        let text = format!("preset:{}", preset.name);
        let policy = policy(Allowlist, &[&text], &[]);
        for rule in rules(preset.rules) {
            assert!(rule.ports.is_some(), "{rule} of {} opens every port", preset.name);
            let host = rule.to.to_string().replace('*', "some");
            let verdict = policy.resolve(&name(&host));
            allowed(&verdict);
            assert_eq!(verdict.rule, format!("allow preset:{} ({rule})", preset.name));
        }
    }
    assert_eq!(
        find_preset("npm").expect("npm is known").rules,
        ["registry.npmjs.org:443"]
    );
    let error = compile(Allowlist, &["preset:npn"], &[]).unwrap_err();
    assert!(error.way_out.contains("did you mean preset:npm?"), "{error:?}");
}

#[test]
fn thousands_of_rules_are_told_apart() {
    let allow: Vec<String> = (0..5000)
        .flat_map(|n| {
            [
                format!("host{n}.example.org:443"),
                format!("*.zone{n}.example.net"),
                format!("[2600:{n:x}::]/32"),
            ]
        })
        .collect();
    let allow: Vec<&str> = allow.iter().map(String::as_str).collect();
    let policy = policy(Allowlist, &allow, &[]);
    allowed(&policy.resolve(&name("host4999.example.org")));
    allowed(&policy.resolve(&name("deep.below.zone4999.example.net")));
    denied(&policy.resolve(&name("host5000.example.org")), "mode allowlist");
    allowed(&tcp(&policy, &[], "[2600:1387::1]:443"));
    denied(&tcp(&policy, &[], "[2600:1388::1]:443"), "mode allowlist");
}
