//! What a mounted home folder shows, over imagined homes.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use agentkernel_policy::{CREDENTIAL_STORES, Credentials, FoundStore, HostFacts, find_stores, home_mount};
use agentkernel_types::{ErrorKind, GuestPath};
use proptest::prelude::*;

fn home() -> PathBuf {
    PathBuf::from("/home/ada")
}

/// The facts of a home in which all these paths exist, without links.
fn host(existing: &BTreeSet<PathBuf>) -> HostFacts {
    let resolve = |path: &Path| existing.contains(path).then(|| path.to_owned());
    HostFacts {
        home: Some(home()),
        own: Vec::new(),
        stores: find_stores(&home(), &resolve),
    }
}

fn asked(names: &[&str]) -> Credentials {
    Credentials::parse(names).expect("known names")
}

fn masked(host: &HostFacts, names: &[&str]) -> Vec<String> {
    let mount = home_mount(&home(), &asked(names), host).expect("a home folder");
    mount.masked.iter().map(|path| path.as_str().to_owned()).collect()
}

fn all_paths() -> Vec<(&'static str, PathBuf)> {
    let each = CREDENTIAL_STORES.iter();
    each.flat_map(|store| store.paths.iter().map(|path| (store.name, home().join(path))))
        .collect()
}

#[test]
fn names_are_unique_and_no_path_lies_beneath_another() {
    let names: BTreeSet<_> = CREDENTIAL_STORES.iter().map(|store| store.name).collect();
    assert_eq!(names.len(), CREDENTIAL_STORES.len());
    let paths = all_paths();
    for (index, (_, path)) in paths.iter().enumerate() {
        let is_plain = path
            .components()
            .all(|part| !matches!(part, std::path::Component::ParentDir));
        assert!(is_plain && path != &home(), "{}", path.display());
        for (_, other) in paths.iter().skip(index + 1) {
            assert!(
                !path.starts_with(other) && !other.starts_with(path),
                "{} {}",
                path.display(),
                other.display()
            );
        }
    }
}

#[test]
fn the_documented_stores_are_all_known() {
    let documented = [
        ".ssh",
        ".aws",
        ".azure",
        ".gnupg",
        ".config/gcloud",
        ".docker",
        ".kube",
        ".netrc",
        ".git-credentials",
        ".config/gh",
        ".npmrc",
        ".pypirc",
        ".mozilla",
        ".config/google-chrome",
        ".config/chromium",
        ".claude",
        ".claude.json",
        ".codex",
        ".gemini",
        ".config/opencode",
        ".config/github-copilot",
        ".bash_history",
        ".zsh_history",
        ".vault-token",
        ".password-store",
        ".local/share/keyrings",
        ".thunderbird",
        ".config/agentkernel",
        ".local/share/agentkernel",
        ".pgpass",
        ".cargo/credentials.toml",
        ".terraform.d",
        ".databrickscfg",
        ".aider.conf.yml",
        ".m2/settings.xml",
        ".gradle/gradle.properties",
        ".config/Bitwarden",
    ];
    for path in documented {
        Credentials::parse(&[path]).expect(path);
    }
}

#[test]
fn a_mounted_home_is_read_only_at_its_own_path_and_hides_what_exists() {
    let existing = [".ssh", ".config/gh", ".bash_history", "project"]
        .map(|path| home().join(path))
        .into();
    let host = host(&existing);
    let mount = home_mount(&home(), &Credentials::default(), &host).expect("a home folder");
    assert!(mount.read_only);
    assert_eq!((mount.source, mount.target.as_str()), (home(), "/home/ada"));
    assert_eq!(
        masked(&host, &[]),
        [
            "/home/ada/.bash_history",
            "/home/ada/.config/gh",
            "/home/ada/.ssh"
        ]
    );
    for name in ["ssh", ".ssh", "~/.ssh", ".ssh/"] {
        assert_eq!(
            masked(&host, &[name]),
            ["/home/ada/.bash_history", "/home/ada/.config/gh"],
            "{name}"
        );
    }
}

#[test]
fn unknown_names_are_refused_with_the_nearest_one_and_all_others() {
    for (wrong, right) in [(".shh", "ssh"), ("kubee", "kube"), ("gcloud1", "gcloud")] {
        let denied = Credentials::parse(&["aws", wrong]).unwrap_err();
        assert_eq!(denied.kind, ErrorKind::InvalidSpec);
        assert!(denied.to_string().contains(wrong), "{denied}");
        assert!(
            denied.way_out.starts_with(&format!("did you mean {right}? ")),
            "{}",
            denied.way_out
        );
        assert!(
            CREDENTIAL_STORES
                .iter()
                .all(|store| denied.way_out.contains(store.name))
        );
    }
    for wrong in [
        "",
        "/",
        "..",
        "~",
        "*",
        ".config",
        "/home/ada/.ssh",
        ".ssh/../.aws",
    ] {
        assert!(Credentials::parse(&[wrong]).is_err(), "{wrong}");
    }
}

#[test]
fn a_linked_store_is_hidden_where_it_really_lies() {
    let host = HostFacts {
        home: Some("/data/ada".into()),
        own: vec!["/data/ada/.cache/agentkernel".into(), "/run/agentkernel".into()],
        stores: vec![
            FoundStore {
                name: "ssh",
                path: "/data/ada/dotfiles/ssh".into(),
            },
            FoundStore {
                name: "aws",
                path: "/mnt/elsewhere/aws".into(),
            },
            FoundStore {
                name: "gh",
                path: "/data/ada/dotfiles/ssh/gh".into(),
            },
        ],
    };
    assert_eq!(
        masked(&host, &[]),
        ["/home/ada/.cache/agentkernel", "/home/ada/dotfiles/ssh"]
    );
    assert_eq!(
        masked(&host, &["gh"]),
        ["/home/ada/.cache/agentkernel", "/home/ada/dotfiles/ssh"]
    );
    assert_eq!(
        masked(&host, &["ssh"]),
        ["/home/ada/.cache/agentkernel", "/home/ada/dotfiles/ssh/gh"]
    );
}

#[test]
fn homes_that_cannot_be_shown_safely_are_refused() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let store = |path: &Path| {
        vec![FoundStore {
            name: "ssh",
            path: path.to_owned(),
        }]
    };
    let not_utf8 = Path::new(OsStr::from_bytes(b"/home/ada/\xff"));
    let cases = [
        ("/home/ada", HostFacts::default()),
        (
            "/",
            HostFacts {
                home: Some("/".into()),
                ..HostFacts::default()
            },
        ),
        (
            "/home/ada",
            HostFacts {
                home: Some("/".into()),
                ..HostFacts::default()
            },
        ),
        (
            "home/ada",
            HostFacts {
                home: Some(home()),
                ..HostFacts::default()
            },
        ),
        (
            "/home/../etc",
            HostFacts {
                home: Some(home()),
                ..HostFacts::default()
            },
        ),
        (
            "/home/ada",
            HostFacts {
                home: Some(home()),
                stores: store(&home()),
                own: Vec::new(),
            },
        ),
        (
            "/home/ada",
            HostFacts {
                home: Some(home()),
                stores: store(not_utf8),
                own: Vec::new(),
            },
        ),
    ];
    for (home, host) in cases {
        assert!(
            home_mount(Path::new(home), &Credentials::default(), &host).is_err(),
            "{home} {host:?}"
        );
    }
}

proptest! {
    #[test]
    fn no_credential_is_visible_unless_it_was_asked_for_by_name(
        there in proptest::collection::vec(any::<bool>(), all_paths().len()),
        wanted in proptest::collection::btree_set(proptest::sample::select(CREDENTIAL_STORES), 0..6),
    ) {
        let wanted: BTreeSet<_> = wanted.iter().map(|store| store.name).collect();
        let existing = all_paths().into_iter().zip(there).filter(|(_, there)| *there).map(|((_, path), _)| path).collect();
        let names: Vec<_> = wanted.iter().copied().collect();
        let mount = home_mount(&home(), &asked(&names), &host(&existing)).expect("a home folder");
        for (name, path) in all_paths().into_iter().filter(|(_, path)| existing.contains(path)) {
            let inside: GuestPath = path.to_str().expect("ours are UTF-8").parse().expect("absolute");
            let is_hidden = mount.masked.iter().any(|hidden| inside.starts_with(hidden));
            prop_assert_eq!(is_hidden, !wanted.contains(name), "{} {}", name, inside);
        }
        for hidden in &mount.masked {
            prop_assert!(hidden.starts_with(&mount.target) && hidden != &mount.target);
        }
    }

    #[test]
    fn any_text_as_a_name_is_a_known_store_or_refused(text in ".{0,30}") {
        if let Ok(credentials) = Credentials::parse(&[&text]) {
            prop_assert!(CREDENTIAL_STORES.iter().any(|store| credentials.include(store.name)));
        }
    }
}
