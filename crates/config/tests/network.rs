//! `[network]`: which source decides the mode, the rules, the ports and the name servers.

mod support;

use agentkernel_config::{Origin, Overrides, Resolved, rows};
use agentkernel_types::{ErrorKind, NetworkMode, NetworkRule, Profile, PublishedPort};
use support::Place;

use NetworkMode::{Allowlist, Host, None as NoNetwork, Open, Public};

fn rules(texts: &[&str]) -> Vec<NetworkRule> {
    texts.iter().map(|text| text.parse().expect(text)).collect()
}

fn ports(texts: &[&str]) -> Vec<PublishedPort> {
    texts.iter().map(|text| text.parse().expect(text)).collect()
}

fn mode(place: &Place) -> NetworkMode {
    let settings = place.settings();
    assert_eq!(settings.grants.network, settings.network.value.mode);
    assert_eq!(settings.grant_origins.network, settings.network.origin);
    settings.network.value.mode
}

fn allowed(settings: &Resolved) -> Vec<String> {
    settings
        .network
        .value
        .allow
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn says(mode: NetworkMode) -> String {
    format!("[network]\nmode = \"{mode}\"\n")
}

fn with_mode(mode: NetworkMode) -> Overrides {
    Overrides {
        network: Some(mode),
        ..Overrides::default()
    }
}

fn with_profile(profile: Profile) -> Overrides {
    Overrides {
        profile: Some(profile),
        ..Overrides::default()
    }
}

fn allowing(texts: &[&str]) -> Overrides {
    Overrides {
        allow: rules(texts),
        ..Overrides::default()
    }
}

#[test]
fn a_project_may_ask_for_every_mode_that_is_no_looser_than_the_users() {
    for user in NetworkMode::ALL {
        for project in NetworkMode::ALL {
            let place = Place::new().user(says(user)).project(says(project));
            if project <= user {
                assert_eq!(mode(&place), project, "{user} {project}");
                assert!(matches!(
                    place.settings().network.origin,
                    Origin::ProjectFile { line: 2, .. }
                ));
                continue;
            }
            assert_eq!(place.error().kind(), ErrorKind::Denied, "{user} {project}");
            let message = place.message();
            for part in [
                format!("`network.mode` loosens: {project} allows more than {user}"),
                format!("for you it is {user} (DIR/config.toml:2)"),
                format!("pass `--network {project}`"),
                format!("write `mode = \"{project}\"` under [network] in DIR/config.toml"),
            ] {
                assert!(message.contains(&part), "{part:?} is not in\n{message}");
            }
        }
    }
}

#[test]
fn a_flag_and_a_variable_decide_over_both_files_in_both_directions() {
    for file in NetworkMode::ALL {
        for wanted in NetworkMode::ALL {
            let files = || Place::new().user(says(Public)).project(says(file));
            let flagged = files().flags(with_mode(wanted));
            assert_eq!(mode(&flagged), wanted, "{file}");
            assert_eq!(flagged.settings().network.origin, Origin::Flag("--network"));
            let variable = files().variable("AGENTKERNEL_NETWORK", wanted.as_str());
            assert_eq!(mode(&variable), wanted, "{file}");
            assert_eq!(
                variable.settings().network.origin,
                Origin::Environment("AGENTKERNEL_NETWORK")
            );
            assert_eq!(mode(&variable.flags(with_mode(NoNetwork))), NoNetwork);
        }
    }
}

#[test]
fn a_mode_beats_the_profile_of_its_own_source() {
    for profile in Profile::ALL {
        for wanted in NetworkMode::ALL {
            let text = format!("[security]\nprofile = \"{profile}\"\n{}", says(wanted));
            assert_eq!(mode(&Place::new().user(&text)), wanted, "{profile}");
            let flags = Overrides {
                profile: Some(profile),
                ..with_mode(wanted)
            };
            assert_eq!(mode(&Place::new().flags(flags)), wanted, "{profile}");
        }
        let by_profile = Place::new().flags(with_profile(profile));
        assert_eq!(mode(&by_profile), profile.grants().network);
        assert_eq!(by_profile.settings().network.origin, Origin::Profile);
    }
}

#[test]
fn a_stronger_profile_takes_a_mode_back_but_does_not_loosen_it() {
    for (user, profile, expected) in [
        (Open, Profile::Moderate, Public),
        (Host, Profile::Permissive, Open),
        (Public, Profile::Restrictive, NoNetwork),
        (Allowlist, Profile::Restrictive, NoNetwork),
        (Allowlist, Profile::Permissive, Allowlist),
        (NoNetwork, Profile::Permissive, NoNetwork),
    ] {
        let flagged = Place::new().user(says(user)).flags(with_profile(profile));
        assert_eq!(mode(&flagged), expected, "{user} {profile}");
        let variable = Place::new()
            .user(says(user))
            .variable("AGENTKERNEL_PROFILE", profile.as_str());
        assert_eq!(mode(&variable), expected, "{user} {profile}");
    }
    // The same holds for the profile of a project, within what the user has.
    let place = Place::new()
        .user(says(Open))
        .project("[security]\nprofile = \"restrictive\"\n");
    assert_eq!(mode(&place), NoNetwork);
}

#[test]
fn the_short_word_of_security_means_the_profiles_mode_or_none() {
    for (profile, granted) in [
        (Profile::Permissive, Open),
        (Profile::Moderate, Public),
        (Profile::Restrictive, Public),
    ] {
        let says = |granted| format!("[security]\nprofile = \"{profile}\"\nnetwork = {granted}\n");
        let place = Place::new().user(says(true));
        assert_eq!(mode(&place), granted);
        assert!(matches!(
            place.settings().network.origin,
            Origin::UserFile { line: 3, .. }
        ));
        assert_eq!(mode(&Place::new().user(says(false))), NoNetwork);
        assert_eq!(
            mode(&Place::new().project(says(false).replace("permissive", "moderate"))),
            NoNetwork
        );
    }
    // Another profile on the command line is the profile that it means.
    let place = Place::new().user("[security]\nnetwork = true\n");
    assert_eq!(mode(&place.flags(with_profile(Profile::Permissive))), Open);
}

#[test]
fn a_project_that_needs_a_network_is_content_with_any() {
    for user in [Allowlist, Public, Open, Host] {
        let place = Place::new()
            .user(says(user))
            .project("[security]\nnetwork = true\n");
        assert_eq!(mode(&place), user);
    }
    let place = Place::new()
        .user(says(Open))
        .project("[security]\nprofile = \"restrictive\"\nnetwork = true\n");
    assert_eq!(
        mode(&place),
        Public,
        "its own profile has none, so it asks for `public`"
    );
    let none = Place::new()
        .user(says(NoNetwork))
        .project("[security]\nnetwork = true\n");
    assert_eq!(none.error().kind(), ErrorKind::Denied);
    assert_eq!(mode(&none.flags(with_mode(Public))), Public);
}

#[test]
fn both_words_for_the_mode_may_stand_in_one_file_if_they_agree() {
    for wanted in NetworkMode::ALL {
        for granted in [true, false] {
            let text = format!("[security]\nnetwork = {granted}\n{}", says(wanted));
            let agree = granted == (wanted != NoNetwork);
            let place = Place::new().user(&text);
            assert_eq!(place.resolve().is_ok(), agree, "{granted} {wanted}");
            if agree {
                assert_eq!(mode(&place), wanted);
            }
        }
    }
    // Two files may differ: the project's is the stricter one here.
    let place = Place::new()
        .user(says(Public))
        .project("[security]\nnetwork = false\n");
    assert_eq!(mode(&place), NoNetwork);
}

#[test]
fn a_list_of_what_is_allowed_without_a_mode_closes_the_rest() {
    let list = "[network]\nallow = [\"a.example\"]\n";
    for profile in Profile::ALL {
        let text = format!("[security]\nprofile = \"{profile}\"\n{list}");
        assert_eq!(mode(&Place::new().user(text)), Allowlist, "{profile}");
    }
    let project = Place::new().project(list);
    assert_eq!(mode(&project), Allowlist);
    assert!(matches!(
        project.settings().network.origin,
        Origin::ProjectFile { line: 2, .. }
    ));
    let with_true = format!("[security]\nnetwork = true\n{list}");
    assert_eq!(mode(&Place::new().user(with_true)), Allowlist);
    let empty = Place::new().user("[network]\nallow = []\n");
    assert_eq!((mode(&empty), allowed(&empty.settings())), (Allowlist, vec![]));
    // A mode of the same source or of a stronger one is heeded.
    let public = "[network]\nmode = \"public\"\nallow = [\"10.0.0.0/8\"]\n";
    assert_eq!(mode(&Place::new().user(public)), Public);
    assert_eq!(mode(&Place::new().user(list).flags(with_mode(Public))), Public);
    assert_eq!(
        mode(&Place::new().user(list).variable("AGENTKERNEL_NETWORK", "open")),
        Open
    );
    // That of a weaker one is not.
    assert_eq!(mode(&Place::new().user(says(Open)).project(list)), Allowlist);
}

#[test]
fn a_list_on_the_command_line_closes_the_rest_whatever_the_profile_or_a_file_said() {
    for user in NetworkMode::ALL {
        let place = Place::new().user(says(user)).flags(allowing(&["a.example"]));
        assert_eq!(mode(&place), Allowlist, "{user}");
        assert_eq!(allowed(&place.settings()), ["a.example"]);
        assert_eq!(place.settings().network.origin, Origin::Flag("--allow"));
    }
    for profile in Profile::ALL {
        let flags = Overrides {
            profile: Some(profile),
            ..allowing(&["a.example"])
        };
        assert_eq!(mode(&Place::new().flags(flags)), Allowlist, "{profile}");
    }
    let variable = Place::new()
        .variable("AGENTKERNEL_NETWORK", "open")
        .flags(allowing(&["a.example"]));
    assert_eq!(mode(&variable), Allowlist);
    let public = Overrides {
        network: Some(Public),
        ..allowing(&["10.0.0.0/8"])
    };
    assert_eq!(mode(&Place::new().flags(public)), Public);
}

#[test]
fn the_command_line_adds_to_the_users_list() {
    let place = Place::new()
        .user("[network]\nallow = [\"a.example\", \"b.example\"]\ndeny = [\"x.example\"]\n")
        .flags(Overrides {
            deny: rules(&["y.example"]),
            ..allowing(&["b.example", "c.example"])
        });
    let settings = place.settings();
    assert_eq!(mode(&place), Allowlist);
    assert_eq!(allowed(&settings), ["a.example", "b.example", "c.example"]);
    assert_eq!(settings.network.value.deny, rules(&["x.example", "y.example"]));
    let origins = &settings.network_origins;
    assert!(matches!(origins.allow[1], Origin::UserFile { line: 2, .. }));
    assert_eq!(origins.allow[2], Origin::Flag("--allow"));
    assert_eq!(origins.deny[1], Origin::Flag("--deny"));
}

#[test]
fn a_denial_leaves_the_mode_alone() {
    let flags = Overrides {
        deny: rules(&["x.example"]),
        ..Overrides::default()
    };
    for user in [NoNetwork, Allowlist, Public, Open] {
        let place = Place::new().user(says(user)).flags(flags.clone());
        assert_eq!(mode(&place), user);
        assert_eq!(place.settings().network.value.deny, rules(&["x.example"]));
        let place = Place::new()
            .user(says(user))
            .project("[network]\ndeny = [\"x.example\"]\n");
        assert_eq!(mode(&place), user);
        assert_eq!(place.settings().network.value.deny, rules(&["x.example"]));
    }
}

#[test]
fn of_a_projects_list_holds_what_the_user_allows_and_nothing_else_is_taken() {
    let place = Place::new()
        .user("[network]\nmode = \"public\"\nallow = [\"10.0.0.0/8\"]\ndeny = [\"x.example\"]\n")
        .project("[network]\nallow = [\"a.example:443\", \"10.1.0.0/16\"]\ndeny = [\"y.example\"]\n");
    let settings = place.settings();
    assert_eq!(mode(&place), Allowlist);
    assert_eq!(allowed(&settings), ["a.example:443", "10.1.0.0/16"]);
    assert_eq!(settings.network.value.deny, rules(&["x.example", "y.example"]));
    let silent = Place::new()
        .user("[network]\nallow = [\"a.example\"]\n")
        .project("[network]\nmode = \"allowlist\"\n");
    assert_eq!(allowed(&silent.settings()), ["a.example"]);
}

#[test]
fn a_rule_of_a_project_needs_the_users_word_also_beside_flags() {
    let project = "[network]\nallow = [\"a.example\", \"b.example\"]\n";
    assert_eq!(
        allowed(&Place::new().project(project).settings()),
        ["a.example", "b.example"]
    );
    // A list on the command line is the most that there can be: a repository does not add to it in silence.
    let narrow = Place::new().project(project).flags(allowing(&["a.example"]));
    assert!(
        narrow.message().contains("b.example is more than you allow"),
        "{}",
        narrow.message()
    );
    let both = Place::new()
        .project(project)
        .flags(allowing(&["b.example", "a.example", "c.example"]));
    assert_eq!(allowed(&both.settings()), ["a.example", "b.example", "c.example"]);
    // The mode and the list on the command line are the whole word.
    let whole = Place::new().project(project).flags(Overrides {
        network: Some(Allowlist),
        ..allowing(&["c.example"])
    });
    assert_eq!(allowed(&whole.settings()), ["c.example"]);
    // Where the user's own list has the project's rules, nothing is in the way.
    let listed = Place::new()
        .user("[network]\nallow = [\"*.example\"]\n")
        .project(project)
        .flags(allowing(&["c.test"]));
    assert_eq!(allowed(&listed.settings()), ["a.example", "b.example", "c.test"]);
    // And where there is no network, because the user wants none, the list means nothing.
    for flags in [with_mode(NoNetwork), with_profile(Profile::Restrictive)] {
        assert_eq!(mode(&Place::new().project(project).flags(flags)), NoNetwork);
    }
}

#[test]
fn every_way_out_that_a_refusal_names_works() {
    let project = "[network]\nallow = [\"10.0.0.0/8\", \"example.org\"]\n";
    let place = Place::new().project(project);
    assert!(
        place
            .message()
            .contains("pass `--allow 10.0.0.0/8 --allow example.org`")
    );
    assert!(
        place
            .message()
            .contains("write `mode = \"public\"` and `allow = [\"10.0.0.0/8\"]` under [network]")
    );
    let once = place.flags(allowing(&["10.0.0.0/8", "example.org"]));
    assert_eq!((mode(&once), allowed(&once.settings()).len()), (Allowlist, 2));
    let always = Place::new()
        .user("[network]\nmode = \"public\"\nallow = [\"10.0.0.0/8\"]\n")
        .project(project);
    assert_eq!((mode(&always), allowed(&always.settings()).len()), (Allowlist, 2));
    let none = "[security]\nprofile = \"restrictive\"\n";
    let always = Place::new()
        .user(format!("{none}[network]\nallow = [\"a.example\"]\n"))
        .project("[network]\nallow = [\"a.example\"]\n");
    assert_eq!(mode(&always), Allowlist);
}

#[test]
fn the_ports_and_name_servers_of_the_strongest_source_hold() {
    let user = "[network]\nports = [\"0.0.0.0:80:8080\"]\ndns = [\"192.0.2.1\", \"[2001:db8::1]:5353\"]\n";
    let place = Place::new().user(user);
    let settings = place.settings();
    assert_eq!(settings.ports, ports(&["0.0.0.0:80:8080"]));
    assert_eq!(
        settings
            .name_servers
            .iter()
            .map(|server| server.to_string())
            .collect::<Vec<_>>(),
        ["192.0.2.1:53", "[2001:db8::1]:5353"]
    );
    assert!(matches!(
        settings.network_origins.ports[0],
        Origin::UserFile { line: 2, .. }
    ));
    let place =
        place.project("[network]\nports = [\"8080:80\", \"53/udp\", \"[::1]::90\", \"127.0.0.2:1024:80\"]\n");
    assert_eq!(
        place.settings().ports,
        ports(&["8080:80", "53/udp", "[::1]::90", "127.0.0.2:1024:80"])
    );
    let flags = Overrides {
        ports: ports(&["80:80"]),
        name_servers: vec!["192.0.2.9".parse().expect("a name server")],
        ..Overrides::default()
    };
    let settings = place.flags(flags).settings();
    assert_eq!(settings.ports, ports(&["80:80"]));
    assert_eq!(settings.name_servers.len(), 1);
    assert_eq!(settings.network_origins.name_servers, [Origin::Flag("--dns")]);
}

#[test]
fn a_project_opens_no_port_to_others_unless_the_user_has_it_too() {
    for exposed in [
        "0.0.0.0:8080:80",
        "192.0.2.1::80",
        "[::]:8080:80",
        "[::ffff:127.0.0.1]:8080:80",
        "1023:80",
    ] {
        let text = format!("[network]\nports = [\"{exposed}\"]\n");
        let place = Place::new().project(&text);
        assert_eq!(place.error().kind(), ErrorKind::Denied, "{exposed}");
        let allowed = place.user(&text);
        assert_eq!(allowed.settings().ports, ports(&[exposed]));
        let flagged = Place::new().project(&text).flags(Overrides {
            ports: ports(&["80:80"]),
            ..Overrides::default()
        });
        assert_eq!(flagged.settings().ports, ports(&["80:80"]), "the flag decides");
    }
}

#[test]
fn what_a_stronger_source_leaves_no_room_for_is_gone() {
    let files = || {
        Place::new()
            .user("[network]\nmode = \"public\"\nallow = [\"10.0.0.0/8\"]\ndeny = [\"x.example\"]\ndns = [\"192.0.2.1\"]\n")
            .project("[network]\nports = [\"8080:80\"]\n")
    };
    let host = files().flags(with_mode(Host)).settings();
    assert_eq!(host.network.value, agentkernel_types::NetworkPolicy::of(Host));
    assert!(host.ports.is_empty() && host.name_servers.is_empty());
    let none = files().variable("AGENTKERNEL_NETWORK", "none").settings();
    assert_eq!(none.network.value.mode, NoNetwork);
    assert!(none.ports.is_empty());
    // A project that wants no network publishes none of the user's ports.
    let quiet = Place::new()
        .user("[network]\nports = [\"8080:80\"]\n")
        .project(says(NoNetwork));
    assert!(quiet.settings().ports.is_empty());
}

#[test]
fn the_origin_of_the_mode_is_told_in_a_few_words() {
    let user = || Place::new().user("# mine\n[network]\nmode = \"open\"\n");
    for (place, expected) in [
        (Place::new(), "the profile moderate"),
        (
            Place::new().flags(with_profile(Profile::Restrictive)),
            "the profile restrictive",
        ),
        (user(), "your config.toml:3"),
        (
            user().project("\n\n[network]\nmode = \"public\"\n"),
            "agentkernel.toml:4",
        ),
        (
            user().project("[network]\nallow = [\"a.example\"]\n"),
            "agentkernel.toml:2",
        ),
        (
            user().project("[security]\nprofile = \"restrictive\"\n"),
            "the profile restrictive",
        ),
        (
            user().variable("AGENTKERNEL_NETWORK", "none"),
            "AGENTKERNEL_NETWORK",
        ),
        (user().flags(with_mode(NoNetwork)), "--network"),
        (user().flags(allowing(&["a.example"])), "--allow"),
    ] {
        assert_eq!(place.settings().network_origin(), expected);
    }
}

#[test]
fn every_entry_has_a_row_with_its_place() {
    let place = Place::new()
        .user("[network]\nallow = [\n  \"*.example\",\n]\ndns = [\"192.0.2.1\"]\n")
        .project("[network]\ndeny = [\"x.example\"]\nports = [\"8080:80\"]\n")
        .flags(allowing(&["host:11434"]));
    let shown: Vec<String> = rows(&place.settings())
        .into_iter()
        .filter(|(key, ..)| key.starts_with("network.") || key == "security.network")
        .map(|(key, value, origin)| {
            let origin = origin.to_string();
            format!("{key} {value} {}", origin.rsplit('/').next().unwrap_or(&origin))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "security.network true --allow",
            "network.mode allowlist --allow",
            "network.allow *.example config.toml:3",
            "network.allow host:11434 --allow",
            "network.deny x.example agentkernel.toml:2",
            "network.ports 127.0.0.1:8080:80 agentkernel.toml:3",
            "network.dns 192.0.2.1:53 config.toml:5",
        ]
    );
    let unset = rows(&Place::new().settings());
    assert!(unset.contains(&("network.allow".into(), "(not set)".into(), Origin::Default)));
}
