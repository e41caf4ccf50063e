//! What people read when something about the network is wrong, word for word.

mod support;

use agentkernel_config::Overrides;
use agentkernel_types::{ErrorKind, NetworkMode, Profile};
use support::Place;

fn allowing(texts: &[&str]) -> Overrides {
    Overrides {
        allow: texts.iter().map(|text| text.parse().expect(text)).collect(),
        ..Overrides::default()
    }
}

fn titles(message: &str) -> Vec<&str> {
    let starts = |line: &&str| {
        !line.starts_with([' ', '|']) && !line.is_empty() && !line.starts_with(|c: char| c.is_ascii_digit())
    };
    let titles = message.lines().filter(starts);
    titles.map(|line| line.trim_start_matches("error: ")).collect()
}

#[test]
fn a_looser_mode_of_a_project_names_both_ways_to_allow_it() {
    let place = Place::new().project("[network]\nmode = \"open\"\n");
    assert_eq!(
        place.message(),
        "\
a project file may only tighten, and `network.mode` loosens: open allows more than public
 --> DIR/project/agentkernel.toml:2:8
  |
2 | mode = \"open\"
  |        ^^^^^^ for you it is public (by the profile moderate)
  |
  = help: to allow it this time: pass `--network open`
  = help: to allow it always: write `mode = \"open\"` under [network] in DIR/config.toml"
    );
}

#[test]
fn a_network_where_the_user_has_none_is_a_loosening() {
    let place = Place::new()
        .user("[network]\nmode = \"none\"\n")
        .project("[security]\nnetwork = true\n");
    assert_eq!(
        place.message(),
        "\
a project file may only tighten, and `security.network` loosens: it would let the sandbox reach the network
 --> DIR/project/agentkernel.toml:2:11
  |
2 | network = true
  |           ^^^^ for you it is false (DIR/config.toml:2)
  |
  = help: to allow it this time: pass `--network public`
  = help: to allow it always: write `mode = \"public\"` under [network] in DIR/config.toml"
    );
    let place = Place::new()
        .user("[security]\nprofile = \"restrictive\"\n")
        .project("[security]\nnetwork = true\n");
    let message = place.message();
    assert!(
        message.contains("for you it is false (by the profile restrictive)"),
        "{message}"
    );
    assert!(
        message.ends_with("write `network = true` under [security] in DIR/config.toml"),
        "{message}"
    );
}

#[test]
fn each_rule_of_a_project_that_the_user_does_not_allow_is_named_in_its_line() {
    let place = Place::new()
        .user("[network]\nmode = \"none\"\n")
        .project("[network]\nmode = \"allowlist\"\nallow = [\n  \"a.example\",\n  \"b.example:443\",\n]\n");
    assert_eq!(
        place.message(),
        "\
a project file may only tighten, and `network.allow` loosens: a.example is more than you allow
 --> DIR/project/agentkernel.toml:4:3
  |
4 |   \"a.example\",
  |   ^^^^^^^^^^^ you allow nothing (DIR/config.toml:2)
  |
  = help: to allow it this time: pass `--allow a.example`
  = help: to allow it always: write `mode = \"allowlist\"` and `allow = [\"a.example\"]` under [network] in DIR/config.toml

error: a project file may only tighten, and `network.allow` loosens: b.example:443 is more than you allow
 --> DIR/project/agentkernel.toml:5:3
  |
5 |   \"b.example:443\",
  |   ^^^^^^^^^^^^^^^ you allow nothing (DIR/config.toml:2)
  |
  = help: to allow it this time: pass `--allow b.example:443`
  = help: to allow it always: write `mode = \"allowlist\"` and `allow = [\"b.example:443\"]` under [network] in DIR/config.toml"
    );
    assert_eq!(place.error().kind(), ErrorKind::Denied);
}

#[test]
fn a_rule_outside_of_the_users_list_says_what_the_list_has() {
    let place = Place::new()
        .user("[network]\nallow = [\"*.example.org\"]\n")
        .project("[network]\nallow = [\"a.example.org\", \"b.example.net\"]\n");
    assert_eq!(
        place.message(),
        "\
a project file may only tighten, and `network.allow` loosens: b.example.net is more than you allow
 --> DIR/project/agentkernel.toml:2:27
  |
2 | allow = [\"a.example.org\", \"b.example.net\"]
  |                           ^^^^^^^^^^^^^^^ you allow *.example.org (DIR/config.toml:2)
  |
  = help: to allow it this time: pass `--allow b.example.net`
  = help: to allow it always: add \"b.example.net\" to `allow` under [network] in DIR/config.toml"
    );
}

#[test]
fn a_private_range_that_the_mode_does_not_open_says_so() {
    let place = Place::new().project("[network]\nallow = [\"10.0.0.0/8\", \"example.org\"]\n");
    assert_eq!(
        place.message(),
        "\
a project file may only tighten, and `network.allow` loosens: 10.0.0.0/8 is more than you allow
 --> DIR/project/agentkernel.toml:2:10
  |
2 | allow = [\"10.0.0.0/8\", \"example.org\"]
  |          ^^^^^^^^^^^^ you allow the mode public (by the profile moderate)
  |
  = help: to allow it this time: pass `--allow 10.0.0.0/8 --allow example.org`
  = help: to allow it always: write `mode = \"public\"` and `allow = [\"10.0.0.0/8\"]` under [network] in DIR/config.toml"
    );
}

#[test]
fn a_projects_rule_beside_a_list_on_the_command_line_is_named() {
    let place = Place::new()
        .project("[network]\nallow = [\"a.example\", \"b.example\"]\n")
        .flags(allowing(&["b.example"]));
    assert_eq!(
        place.message(),
        "\
a project file may only tighten, and `network.allow` loosens: a.example is more than you allow
 --> DIR/project/agentkernel.toml:2:10
  |
2 | allow = [\"a.example\", \"b.example\"]
  |          ^^^^^^^^^^^ you allow b.example (--allow)
  |
  = help: to allow it this time: pass `--allow a.example` as well
  = help: to run without the project's rules: pass `--network allowlist` as well"
    );
}

#[test]
fn a_port_that_would_open_this_machine_names_all_flags_that_are_needed() {
    let place = Place::new().project("[network]\nports = [\"0.0.0.0:8080:80\", \"80:80\", \"3000:3000\"]\n");
    assert_eq!(
        place.message(),
        "\
a project file may only tighten, and `network.ports` loosens: it would open a service to other machines
 --> DIR/project/agentkernel.toml:2:10
  |
2 | ports = [\"0.0.0.0:8080:80\", \"80:80\", \"3000:3000\"]
  |          ^^^^^^^^^^^^^^^^^ a project may publish on the loopback, from port 1024 on
  |
  = help: to allow it this time: pass `--publish 0.0.0.0:8080:80 --publish 127.0.0.1:80:80 --publish 127.0.0.1:3000:3000`
  = help: to allow it always: write `ports = [\"0.0.0.0:8080:80\"]` under [network] in DIR/config.toml

error: a project file may only tighten, and `network.ports` loosens: it would take a port that this machine's own services use
 --> DIR/project/agentkernel.toml:2:29
  |
2 | ports = [\"0.0.0.0:8080:80\", \"80:80\", \"3000:3000\"]
  |                             ^^^^^^^ a project may publish on the loopback, from port 1024 on
  |
  = help: to allow it this time: pass `--publish 0.0.0.0:8080:80 --publish 127.0.0.1:80:80 --publish 127.0.0.1:3000:3000`
  = help: to allow it always: write `ports = [\"127.0.0.1:80:80\"]` under [network] in DIR/config.toml"
    );
}

#[test]
fn name_servers_of_a_project_are_refused_by_name() {
    let place = Place::new().project("[network]\ndns = [\"192.0.2.1\"]\n");
    assert_eq!(
        place.message(),
        "\
`network.dns` belongs in the user's own file, not in a project's
 --> DIR/project/agentkernel.toml:2:1
  |
2 | dns = [\"192.0.2.1\"]
  | ^^^
  |
  = help: a repository could redirect every name: pass `--dns`, or set it in your own configuration file"
    );
    assert_eq!(place.error().kind(), ErrorKind::Denied);
}

#[test]
fn two_words_for_the_mode_that_differ_are_a_contradiction() {
    let place = Place::new().user("[security]\nnetwork = false\n[network]\nmode = \"public\"\n");
    assert_eq!(
        place.message(),
        "\
`network.mode = \"public\"` and `security.network = false` contradict each other
 --> DIR/config.toml:4:8
  |
4 | mode = \"public\"
  |        ^^^^^^^^ `security.network` is in line 2
  |
  = help: leave `security.network` out: the mode says all of it"
    );
}

#[test]
fn a_preset_that_does_not_exist_is_found_in_its_line() {
    let message = Place::new()
        .project("[network]\nallow = [\n  \"preset:npm\",\n  \"preset:nmp\",\n]\n")
        .message();
    assert!(
        message.starts_with(
            "\
`network.allow`: the rule preset:nmp: there is no such preset
 --> DIR/project/agentkernel.toml:4:3
  |
4 |   \"preset:nmp\",
  |   ^^^^^^^^^^^^
  |
  = help: did you mean preset:npm? there are: "
        ),
        "{message}"
    );
}

#[test]
fn every_wrong_value_is_named_with_what_would_be_right() {
    let table: &[(&str, &[&str])] = &[
        (
            "mode = \"allow-list\"",
            &[
                "`network.mode`: unknown value \"allow-list\": did you mean \"allowlist\"? use one of none, allowlist, \
                 public, open, host",
            ],
        ),
        (
            "mode = true",
            &["`network.mode`: expected a string, found a boolean"],
        ),
        (
            "allow = \"a.example\"",
            &["`network.allow`: expected a list of strings, found a string"],
        ),
        (
            "allow = [\"https://a.example/x\", 1, \"b.example\", \"*.*\"]",
            &[
                "`network.allow`: invalid network rule \"https://a.example/x\": it is a URL; write only its host and \
                 port, as in registry.npmjs.org:443",
                "`network.allow`: expected a string, found an integer",
                "`network.allow`: invalid network rule \"*.*\": invalid host name \"*\": use letters, digits, '-', '_' \
                 and dots; a name in another script is written as its xn-- form",
            ],
        ),
        (
            "allow = [\"host\"]",
            &[
                "`network.allow`: invalid network rule \"host\": a service of the host needs its port; write \
                 host:PORT, as in host:11434",
            ],
        ),
        (
            "allow = [\"127.0.0.1\"]",
            &[
                "`network.allow`: the rule allow 127.0.0.1: it is in 127.0.0.0/8, loopback (RFC 1122), where nothing \
                 outside of a machine can be",
            ],
        ),
        (
            "deny = [\"preset:x\"]",
            &["`network.deny`: the rule preset:x: there is no such preset"],
        ),
        (
            "ports = [\"80-90:80-90\"]",
            &[
                "`network.ports`: invalid port \"80-90:80-90\": \"80-90\" is no port from 0 to 65535; write \
                 [IP:]HOST:SANDBOX[/udp], as in 8080:80",
            ],
        ),
        (
            "ports = [80]",
            &["`network.ports`: expected a string, found an integer"],
        ),
        (
            "dns = [\"dns.example\"]",
            &[
                "`network.dns`: invalid name server \"dns.example\": write its address, as in 192.0.2.1, \
                 192.0.2.1:5353 or [2001:db8::1]:53",
            ],
        ),
        (
            "subnet = \"172.30.0.0/24\"",
            &["`[network] subnet`: named networks are not supported yet"],
        ),
        ("alow = []", &["unknown key `network.alow`"]),
    ];
    for (line, expected) in table {
        let message = Place::new().user(format!("[network]\n{line}\n")).message();
        assert_eq!(
            titles(&message),
            *expected,
            "for {line:?} the whole text was\n{message}"
        );
    }
}

#[test]
fn lists_have_a_bound() {
    for (key, entry, most, what) in [
        ("allow", "a.example", 1000, "rules"),
        ("deny", "a.example", 1000, "rules"),
        ("ports", "8080:80", 100, "ports"),
        ("dns", "192.0.2.1", 8, "name servers"),
    ] {
        let text = |count| format!("[network]\n{key} = {:?}\n", vec![entry; count]);
        assert!(Place::new().user(text(most)).resolve().is_ok(), "{key}");
        let message = Place::new().user(text(most + 1)).message();
        assert_eq!(
            titles(&message),
            [format!("`network.{key}`: more than {most} {what}")]
        );
    }
}

#[test]
fn a_list_without_effect_in_the_mode_of_its_own_file_is_refused() {
    let place = Place::new().project("[security]\nnetwork = false\n[network]\nallow = [\"a.example\"]\n");
    assert_eq!(
        place.message(),
        "\
`network.allow` has no effect in the network mode none: nothing is reached without a network
 --> DIR/project/agentkernel.toml:4:9
  |
4 | allow = [\"a.example\"]
  |         ^^^^^^^^^^^^^
  |
  = help: leave it out, or write `mode = \"allowlist\"` in place of `network = false`"
    );
    let lists = "allow = [\"a.example\"]\ndeny = [\"b.example\"]\nports = [\"8080:80\"]\n";
    let message = Place::new()
        .user(format!("[network]\nmode = \"host\"\n{lists}"))
        .message();
    assert_eq!(
        titles(&message),
        [
            "`network.allow` has no effect in the network mode host: no policy is applied to this machine's own network",
            "`network.deny` has no effect in the network mode host: no policy is applied to this machine's own network",
            "`network.ports` has no effect in the network mode host: a sandbox that shares this machine's network has \
             no ports of its own",
        ]
    );
    let message = Place::new()
        .user(format!("[network]\nmode = \"none\"\n{lists}"))
        .message();
    assert_eq!(
        titles(&message),
        [
            "`network.allow` has no effect in the network mode none: nothing is reached without a network",
            "`network.ports` has no effect in the network mode none: a sandbox without a network has no ports",
        ]
    );
}

#[test]
fn a_projects_list_without_effect_in_the_users_mode_is_refused() {
    let place = Place::new()
        .user("[network]\nmode = \"host\"\n")
        .project("[network]\ndeny = [\"b.example\"]\n");
    assert_eq!(
        place.message(),
        "\
`network.deny` has no effect in the network mode host: no policy is applied to this machine's own network
 --> DIR/project/agentkernel.toml:2:8
  |
2 | deny = [\"b.example\"]
  |        ^^^^^^^^^^^^^ the mode is host (DIR/config.toml:2)
  |
  = help: leave it out, or pass `--network open`"
    );
    let ports = "[network]\nports = [\"8080:80\"]\n";
    let place = Place::new()
        .user("[security]\nprofile = \"restrictive\"\n")
        .project(ports);
    let message = place.message();
    assert!(
        message.contains("the mode is none (by the profile restrictive)"),
        "{message}"
    );
    // What the help says is a way out.
    let flags = Overrides {
        network: Some(NetworkMode::Allowlist),
        ..Overrides::default()
    };
    assert_eq!(place.flags(flags).settings().ports.len(), 1);
}

#[test]
fn flags_that_contradict_each_other_are_named() {
    let of = |network, flags| Overrides { network, ..flags };
    let ports = || Overrides {
        ports: vec!["8080:80".parse().expect("a port")],
        ..Overrides::default()
    };
    let deny = || Overrides {
        deny: allowing(&["a.example"]).allow,
        ..Overrides::default()
    };
    let dns = || Overrides {
        name_servers: vec!["192.0.2.1".parse().expect("a name server")],
        ..Overrides::default()
    };
    let (none, host) = (Some(NetworkMode::None), Some(NetworkMode::Host));
    let restrictive = |flags| Overrides {
        profile: Some(Profile::Restrictive),
        ..flags
    };
    for (flags, message, hint) in [
        (
            of(none, allowing(&["a.example"])),
            "`--allow` has no effect with `--network none`: nothing is reached without a network",
            "leave --allow out, or pass --network allowlist",
        ),
        (
            of(host, allowing(&["a.example"])),
            "`--allow` has no effect with `--network host`: no policy is applied to this machine's own network",
            "leave --allow out, or pass --network allowlist",
        ),
        (
            of(host, deny()),
            "`--deny` has no effect with `--network host`: no policy is applied to this machine's own network",
            "leave --deny out, or pass --network open",
        ),
        (
            of(none, ports()),
            "`--publish` has no effect with `--network none`: a sandbox without a network has no ports",
            "leave --publish out, or pass --network allowlist",
        ),
        (
            of(host, ports()),
            "`--publish` has no effect with `--network host`: a sandbox that shares this machine's network has no \
             ports of its own",
            "leave --publish out, or pass --network open",
        ),
        (
            of(none, dns()),
            "`--dns` has no effect with `--network none`: no name is looked up without a network",
            "leave --dns out, or pass --network allowlist",
        ),
        (
            of(host, dns()),
            "`--dns` has no effect with `--network host`: this machine's own network has its own name servers",
            "leave --dns out, or pass --network open",
        ),
        (
            restrictive(ports()),
            "`--publish` has no effect in the network mode none (the profile restrictive): a sandbox without a network \
             has no ports",
            "leave --publish out, or pass --network allowlist",
        ),
    ] {
        let error = Place::new().flags(flags).error();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.hint().as_deref(), Some(hint));
        assert_eq!(error.kind(), ErrorKind::InvalidSpec);
    }
    assert!(
        Place::new().flags(of(none, deny())).resolve().is_ok(),
        "all is denied already"
    );
    let host_by_file = Place::new()
        .user("[network]\nmode = \"host\"\n")
        .flags(deny())
        .error();
    assert_eq!(
        host_by_file.to_string(),
        "`--deny` has no effect in the network mode host (your config.toml:2): no policy is applied to this machine's \
         own network"
    );
}

#[test]
fn a_wrong_variable_is_named() {
    let error = Place::new().variable("AGENTKERNEL_NETWORK", "bridge").error();
    assert_eq!(
        error.to_string(),
        "AGENTKERNEL_NETWORK: unknown network mode \"bridge\": use none, allowlist, public, open or host"
    );
    assert_eq!(
        error.hint().as_deref(),
        Some("unset AGENTKERNEL_NETWORK or pass --network")
    );
}
