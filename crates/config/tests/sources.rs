//! Which source decides, and that a project file can only tighten.

mod support;

use agentkernel_config::{Origin, Overrides, rows};
use agentkernel_types::{
    ByteSize, ErrorKind, ImageRef, Isolation, NetworkMode, NetworkPolicy, Profile, PullPolicy, Resources,
};
use support::Place;

fn grant(place: &Place, key: &str) -> (String, Origin) {
    let wanted = format!("security.{key}");
    let row = rows(&place.settings())
        .into_iter()
        .find(|(key, ..)| *key == wanted)
        .expect("each grant has a row");
    (row.1, row.2)
}

/// Key, the value that allows more, the flag that sets a value.
type GrantCase = (&'static str, bool, fn(&mut Overrides, bool));

const GRANTS: [GrantCase; 5] = [
    ("network", true, |flags, on| {
        flags.network = Some(if on {
            NetworkMode::Public
        } else {
            NetworkMode::None
        })
    }),
    ("mount_cwd", true, |flags, on| flags.mount_cwd = Some(on)),
    ("mount_home", true, |flags, on| flags.mount_home = Some(on)),
    ("pass_env", true, |flags, on| flags.pass_env = Some(on)),
    ("read_only", false, |flags, on| flags.read_only = Some(on)),
];

#[test]
fn without_any_file_the_profile_is_moderate() {
    let settings = Place::new().settings();
    assert_eq!(settings.profile.value, Profile::Moderate);
    assert_eq!(settings.profile.origin, Origin::Default);
    assert_eq!(settings.grants, Profile::Moderate.grants());
    assert_eq!(settings.network.value, NetworkPolicy::of(NetworkMode::Public));
    assert_eq!(settings.network.origin, Origin::Profile);
    assert_eq!(settings.project_file, None);
}

#[test]
fn a_project_may_tighten_every_grant_and_loosen_none() {
    for (key, loose, _) in GRANTS {
        let (open, shut) = (
            format!("[security]\n{key} = {loose}\n"),
            format!("[security]\n{key} = {}\n", !loose),
        );
        let tightened = Place::new().user(&open).project(&shut);
        assert_eq!(grant(&tightened, key).0, (!loose).to_string(), "{key}");
        assert!(
            matches!(grant(&tightened, key).1, Origin::ProjectFile { line: 2, .. }),
            "{key}"
        );
        for same in [&open, &shut] {
            assert!(
                Place::new().user(same).project(same).resolve().is_ok(),
                "{key} said twice"
            );
        }
        let error = Place::new().user(&shut).project(&open).error();
        assert_eq!(error.kind(), ErrorKind::Denied, "{key}");
        assert!(
            error.to_string().contains(&format!("`security.{key}` loosens")),
            "{error}"
        );
        assert!(error.to_string().contains("agentkernel.toml:2:"), "{error}");
    }
}

#[test]
fn a_flag_decides_over_a_loosening_project_in_both_directions() {
    for (key, loose, set) in GRANTS {
        for value in [true, false] {
            let mut flags = Overrides::default();
            set(&mut flags, value);
            let place = Place::new()
                .user(format!("[security]\n{key} = {}\n", !loose))
                .project(format!("[security]\n{key} = {loose}\n"))
                .flags(flags);
            assert_eq!(grant(&place, key).0, value.to_string(), "{key}");
            assert!(matches!(grant(&place, key).1, Origin::Flag(_)), "{key}");
        }
    }
}

#[test]
fn the_profiles_matrix_of_user_and_project() {
    for user in Profile::ALL {
        for project in Profile::ALL {
            let place = Place::new()
                .user(format!("[security]\nprofile = \"{user}\"\n"))
                .project(format!("[security]\nprofile = \"{project}\"\n"));
            if (project as u8) < user as u8 {
                let error = place.error();
                assert_eq!(error.kind(), ErrorKind::Denied, "{user} {project}");
                assert!(
                    error.to_string().contains(&format!("pass `--profile {project}`")),
                    "{error}"
                );
            } else {
                assert_eq!(place.settings().profile.value, project);
                assert_eq!(place.settings().grants, project.grants());
            }
        }
    }
}

#[test]
fn a_flag_or_a_variable_for_the_profile_decides_over_the_project() {
    let loosening = || Place::new().project("[security]\nprofile = \"permissive\"\nmount_home = true\n");
    let flags = Overrides {
        profile: Some(Profile::Restrictive),
        ..Overrides::default()
    };
    let flagged = loosening().flags(flags).settings();
    assert_eq!(
        (flagged.profile.value, flagged.grants),
        (Profile::Restrictive, Profile::Restrictive.grants())
    );
    let variable = loosening()
        .variable("AGENTKERNEL_PROFILE", "permissive")
        .settings();
    assert_eq!(
        (variable.profile.value, variable.grants),
        (Profile::Permissive, Profile::Permissive.grants())
    );
    assert_eq!(
        variable.profile.origin,
        Origin::Environment("AGENTKERNEL_PROFILE")
    );
}

#[test]
fn a_stronger_profile_takes_back_grants_but_does_not_lift_denials() {
    let user = "[security]\nmount_home = false\nmount_cwd = true\n";
    let permissive = Overrides {
        profile: Some(Profile::Permissive),
        ..Overrides::default()
    };
    let restrictive = Overrides {
        profile: Some(Profile::Restrictive),
        ..Overrides::default()
    };
    let opened = Place::new()
        .user(user)
        .flags(permissive.clone())
        .settings()
        .grants;
    assert!(opened.mount_cwd && opened.pass_env && !opened.mount_home);
    let with_home = Overrides {
        mount_home: Some(true),
        ..permissive
    };
    assert!(
        Place::new()
            .user(user)
            .flags(with_home)
            .settings()
            .grants
            .mount_home
    );
    let closed = Place::new().user(user).flags(restrictive).settings().grants;
    assert_eq!(closed, Profile::Restrictive.grants());
}

#[test]
fn a_projects_denial_holds_under_a_profile_flag() {
    let flags = Overrides {
        profile: Some(Profile::Permissive),
        ..Overrides::default()
    };
    let settings = Place::new()
        .project("[security]\nnetwork = false\n")
        .flags(flags)
        .settings();
    assert!(settings.grants.network == NetworkMode::None && settings.grants.mount_home);
    assert_eq!(settings.network.value.mode, NetworkMode::None);
    assert!(matches!(
        settings.network.origin,
        Origin::ProjectFile { line: 2, .. }
    ));
}

#[test]
fn a_projects_profile_never_lifts_what_the_user_denied() {
    for project in [Profile::Permissive, Profile::Moderate, Profile::Restrictive] {
        let user =
            "[security]\nprofile = \"permissive\"\nnetwork = false\nread_only = true\nmount_home = false\n";
        let grants = Place::new()
            .user(user)
            .project(format!("[security]\nprofile = \"{project}\"\n"))
            .settings()
            .grants;
        assert!(
            grants.network == NetworkMode::None && grants.read_only && !grants.mount_home,
            "{project}"
        );
    }
}

/// Key, a low value, a high value, the flag set to something in between.
type LimitCase = (&'static str, &'static str, &'static str, fn(&mut Resources));

const LIMITS: [LimitCase; 5] = [
    ("vcpus", "1", "1.5", |limits| limits.cpus = "1.2".parse().ok()),
    ("memory_mb", "512", "1024", |limits| {
        limits.memory = Some(ByteSize::from_mebibytes(600))
    }),
    ("pids", "10", "11", |limits| limits.pids = Some(5)),
    ("disk_mb", "1", "2", |limits| {
        limits.disk = Some(ByteSize::from_mebibytes(7))
    }),
    ("timeout", "\"30s\"", "\"1m\"", |limits| {
        limits.timeout = "45s".parse().ok()
    }),
];

#[test]
fn a_project_may_lower_every_limit_and_raise_none() {
    for (key, low, high, set) in LIMITS {
        let (low, high) = (
            format!("[resources]\n{key} = {low}\n"),
            format!("[resources]\n{key} = {high}\n"),
        );
        let lowered = Place::new().user(&high).project(&low).settings().resources;
        assert_eq!(lowered, Place::new().user(&low).settings().resources, "{key}");
        assert!(
            Place::new().user(&low).project(&low).resolve().is_ok(),
            "{key} said twice"
        );
        assert!(
            Place::new().project(&high).resolve().is_ok(),
            "{key}: where the user has no limit, any limit tightens"
        );
        let raised = Place::new().user(&low).project(&high);
        assert_eq!(raised.error().kind(), ErrorKind::Denied, "{key}");
        assert!(
            raised.message().contains(&format!("`resources.{key}` loosens")),
            "{}",
            raised.message()
        );
        let mut flags = Overrides::default();
        set(&mut flags.resources);
        let expected = flags.resources;
        assert_eq!(raised.flags(flags).settings().resources, expected, "{key}");
    }
}

#[test]
fn all_loosenings_of_a_file_are_reported_at_once() {
    let place = Place::new().user("[resources]\npids = 10\n").project(
        "[security]\nprofile = \"permissive\"\nmount_home = true\nmount_cwd = true\n[resources]\npids = 11\n",
    );
    assert_eq!(place.message().matches("may only tighten").count(), 4);
}

#[test]
fn a_file_named_on_the_command_line_has_no_more_trust() {
    let mut place = Place::new().project("[security]\npass_env = true\n");
    place.sources.project_file =
        agentkernel_config::ProjectFile::Explicit(place.path("project/agentkernel.toml"));
    assert_eq!(place.error().kind(), ErrorKind::Denied);
}

#[test]
fn the_order_of_sources_for_an_image() {
    let image = |place: &Place| {
        place
            .settings()
            .image
            .map(|image| (image.value.to_string(), image.origin))
    };
    let place = Place::new().user("[sandbox]\nbase_image = \"user\"\n");
    assert!(matches!(image(&place), Some((name, Origin::UserFile { line: 2, .. })) if name == "user"));
    let place = place.project("[sandbox]\n\nbase_image = \"project\"\n");
    assert!(matches!(image(&place), Some((name, Origin::ProjectFile { line: 3, .. })) if name == "project"));
    let place = place.variable("AGENTKERNEL_IMAGE", "variable");
    assert_eq!(
        image(&place),
        Some(("variable".to_owned(), Origin::Environment("AGENTKERNEL_IMAGE")))
    );
    let place = place.flags(Overrides {
        image: Some(ImageRef::Host),
        ..Overrides::default()
    });
    assert_eq!(image(&place), Some(("host".to_owned(), Origin::Flag("--image"))));
}

#[test]
fn a_projects_runtime_beats_the_users_image() {
    let settings = Place::new()
        .user("[sandbox]\nbase_image = \"mine\"\n")
        .project("[sandbox]\nrootfs = \"go\"\n")
        .settings();
    assert_eq!(settings.image, None);
    assert_eq!(settings.runtime.expect("the project's").value, "go");
}

#[test]
fn backend_and_isolation_come_from_flags_environment_and_the_users_file() {
    let place = Place::new().user("[defaults]\nbackend = \"native\"\nisolation = \"vm\"\n");
    assert_eq!(place.settings().isolation.expect("set").value, Isolation::Vm);
    let place = place
        .variable("AGENTKERNEL_BACKEND", "docker")
        .variable("AGENTKERNEL_ISOLATION", "user-kernel");
    assert_eq!(place.settings().backend.expect("set").value.as_str(), "docker");
    assert_eq!(
        place.settings().isolation.expect("set").origin,
        Origin::Environment("AGENTKERNEL_ISOLATION")
    );
    let place = place.flags(Overrides {
        isolation: Some(Isolation::Container),
        ..Overrides::default()
    });
    assert_eq!(
        place.settings().isolation.expect("set").origin,
        Origin::Flag("--isolation")
    );
}

#[test]
fn a_wrong_variable_is_an_error_and_an_empty_one_is_unset() {
    let error = Place::new().variable("AGENTKERNEL_PROFILE", "loose").error();
    assert_eq!(
        error.to_string(),
        "AGENTKERNEL_PROFILE: unknown profile \"loose\": use permissive, moderate or restrictive"
    );
    assert_eq!(
        error.hint().as_deref(),
        Some("unset AGENTKERNEL_PROFILE or pass --profile")
    );
    assert_eq!(
        Place::new()
            .variable("AGENTKERNEL_PROFILE", "")
            .settings()
            .profile
            .origin,
        Origin::Default
    );
    assert!(Place::new().variable("AGENTKERNEL_OTHER", "x").resolve().is_ok());
}

#[test]
fn a_build_is_told_with_absolute_paths_and_only_from_the_project() {
    let text = "[build]\ndockerfile = \"ops/Dockerfile\"\ncontext = \"app\"\nargs = { A = \"1\" }\n";
    let place = Place::new().project(text);
    let build = place.settings().images.build.expect("the project builds");
    assert_eq!(build.context, place.path("project/app"));
    assert_eq!(
        build.dockerfile.as_deref(),
        Some(std::path::Path::new("ops/Dockerfile"))
    );
    assert_eq!(build.args["A"], "1");
    assert_eq!(Place::new().settings().images.build, None);
    let place = Place::new().project("[build]\n");
    let build = place.settings().images.build.expect("an empty table is one, too");
    assert_eq!((build.context, build.dockerfile), (place.path("project"), None));
}

#[test]
fn for_pulls_the_flag_decides_over_the_environment_and_that_over_the_users_file() {
    let pull = |place: &Place| {
        let pull = place.settings().images.pull.expect("somebody said it");
        (pull.value, pull.origin)
    };
    let place = Place::new().user("[images]\npull = \"always\"\n");
    assert!(matches!(
        pull(&place),
        (PullPolicy::Always, Origin::UserFile { line: 2, .. })
    ));
    let place = place.variable("AGENTKERNEL_PULL", "never");
    assert!(matches!(
        pull(&place),
        (PullPolicy::Never, Origin::Environment("AGENTKERNEL_PULL"))
    ));
    let place = place.flags(Overrides {
        pull: Some(PullPolicy::Missing),
        ..Overrides::default()
    });
    assert_eq!(pull(&place), (PullPolicy::Missing, Origin::Flag("--pull")));
    assert!(Place::new().settings().images.pull.is_none());
}

#[test]
fn each_registry_has_a_table_of_its_own() {
    let text = "[registries.\"LOCALHOST:5000\"]\ninsecure = true\n\
                [registries.\"docker.io\"]\nmirrors = [\"m.example\", \"n.example:5000/x\"]\nca = \"/ca.pem\"\n\
                [images]\nmax_size = \"20g\"\n";
    let place = Place::new().user(text);
    let images = place.settings().images;
    let hosts: Vec<&str> = images.registries.keys().map(String::as_str).collect();
    assert_eq!(hosts, ["docker.io", "localhost:5000"]);
    assert!(images.registries["localhost:5000"].value.insecure);
    let hub = &images.registries["docker.io"].value;
    assert!(!hub.insecure && hub.ca.as_deref() == Some(std::path::Path::new("/ca.pem")));
    assert_eq!(hub.mirrors, ["m.example", "n.example:5000/x"]);
    assert_eq!(images.max_bytes.expect("set").value.bytes(), 20 << 30);
    // `config show --origin` has a row for each.
    let shown: Vec<String> = rows(&place.settings())
        .into_iter()
        .map(|row| row.0.to_string())
        .collect();
    for row in [
        "images.max_size",
        "registries.docker.io",
        "registries.localhost:5000",
    ] {
        assert!(
            shown.iter().any(|shown| shown.replace('"', "").starts_with(row)),
            "{row} is not among {shown:?}"
        );
    }
}

#[test]
fn what_asks_for_nothing_is_accepted() {
    let text = "[network]\nports = []\ndns = []\ndeny = []\n[build]\nargs = {}\nno_cache = false\n";
    assert!(Place::new().project(text).resolve().is_ok());
}

#[test]
fn the_rest_of_a_project_file_is_taken() {
    let settings = Place::new()
        .project("[sandbox]\nname = \"box\"\nruntime = \"python\"\n[agent]\npreferred = \"codex\"\n")
        .settings();
    assert_eq!(settings.name.expect("set").value.as_str(), "box");
    assert_eq!(settings.runtime.expect("set").value, "python");
    assert_eq!(settings.agent.expect("set").value, "codex");
}
