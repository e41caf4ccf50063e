//! Which mounts are allowed, by table and over imagined hosts.

use std::path::{Path, PathBuf};

use agentkernel_policy::{
    Credentials, FoundStore, HostFacts, SourceFacts, SourceKind, check_mount, order_mounts,
};
use agentkernel_types::{ErrorKind, Mount};
use proptest::prelude::*;

fn host() -> HostFacts {
    let store = |name, path: &str| FoundStore {
        name,
        path: path.into(),
    };
    HostFacts {
        home: Some("/home/ada".into()),
        own: vec!["/home/ada/.local/share/agentkernel".into(), "/srv/ak/run".into()],
        stores: vec![
            store("ssh", "/home/ada/.ssh"),
            store("gh", "/home/ada/.config/gh"),
            store("maven", "/home/ada/.m2/settings.xml"),
            store("aws", "/mnt/vault/aws"),
        ],
    }
}

fn check(
    source: &str,
    target: &str,
    kind: SourceKind,
    asked: &[&str],
) -> Result<(), agentkernel_policy::Denied> {
    let mount = Mount::new(source, target.parse().expect("a path"), false);
    let facts = SourceFacts {
        path: source.into(),
        kind,
    };
    check_mount(
        &mount,
        &facts,
        &host(),
        &Credentials::parse(asked).expect("known names"),
    )
}

fn folder(source: &str) -> Result<(), agentkernel_policy::Denied> {
    check(source, "/mnt/x", SourceKind::Folder, &[])
}

#[test]
fn folders_of_the_user_are_allowed() {
    for source in [
        "/home/ada/project",
        "/home/ada/.config/other",
        "/home/bob/shared",
        "/srv/data",
        "/opt/tool",
        "/run/media/ada/stick",
        "/tmp/work",
        "/usr/share/dict",
    ] {
        assert_eq!(folder(source), Ok(()), "{source}");
    }
    assert_eq!(
        check(
            "/home/ada/notes.txt",
            "/home/ada/notes.txt",
            SourceKind::File,
            &[]
        ),
        Ok(())
    );
}

#[test]
fn folders_of_the_host_and_what_holds_them_are_refused() {
    for source in [
        "/",
        "/proc",
        "/proc/self/root",
        "/sys/fs/cgroup",
        "/dev",
        "/dev/shm",
        "/etc",
        "/etc/ssl",
        "/run",
        "/run/user/1000",
        "/run/media",
        "/boot",
        "/var",
        "/var/run",
        "/var/lib",
        "/var/lib/docker/volumes",
        "/tmp",
        "/tmp/.X11-unix",
    ] {
        let denied = folder(source).expect_err(source);
        assert_eq!(denied.kind, ErrorKind::Denied);
        assert!(
            denied
                .to_string()
                .starts_with(&format!("mounting {source} at /mnt/x is refused: ")),
            "{denied}"
        );
    }
}

#[test]
fn the_home_folder_and_what_holds_it_are_refused() {
    for source in ["/home", "/home/ada"] {
        assert!(folder(source).expect_err(source).way_out.contains("mount_home"));
    }
}

#[test]
fn our_own_folders_are_refused_with_what_holds_them_and_what_is_in_them() {
    for source in [
        "/srv/ak/run",
        "/srv/ak",
        "/srv/ak/run/box.sock.d",
        "/home/ada/.local/share",
        "/home/ada/.local",
    ] {
        assert!(
            folder(source)
                .expect_err(source)
                .why
                .contains("agentkernel keeps its own files"),
            "{source}"
        );
    }
    assert_eq!(
        folder("/srv/ak/running"),
        Ok(()),
        "a longer name is another folder"
    );
}

#[test]
fn stores_are_refused_with_what_holds_them_unless_asked_for_by_name() {
    let cases = [
        ("/home/ada/.ssh", "ssh"),
        ("/home/ada/.ssh/id_ed25519", "ssh"),
        ("/home/ada/.config", "gh"),
        ("/home/ada/.m2", "maven"),
        ("/mnt/vault", "aws"),
        ("/mnt/vault/aws/x", "aws"),
    ];
    for (source, name) in cases {
        let denied = folder(source).expect_err(source);
        assert!(
            denied.why.contains(&format!("credential store {name} ")),
            "{denied}"
        );
        assert!(
            denied.way_out.contains(&format!("[{name:?}]")),
            "{}",
            denied.way_out
        );
        assert_eq!(
            check(source, "/mnt/x", SourceKind::Folder, &[name]),
            Ok(()),
            "{source}"
        );
        let another = if name == "ssh" { "gh" } else { "ssh" };
        assert!(
            check(source, "/mnt/x", SourceKind::Folder, &[another]).is_err(),
            "{source}"
        );
    }
}

#[test]
fn only_files_and_folders_that_exist_can_be_mounted() {
    for (kind, expected) in [
        (SourceKind::Socket, ErrorKind::Denied),
        (SourceKind::Other, ErrorKind::Denied),
        (SourceKind::Missing, ErrorKind::InvalidSpec),
    ] {
        assert_eq!(check("/srv/x", "/mnt/x", kind, &[]).unwrap_err().kind, expected);
    }
}

#[test]
fn a_link_is_judged_by_where_it_leads() {
    let mount = Mount::new("/home/ada/project/link", "/mnt/x".parse().expect("a path"), true);
    let facts = SourceFacts {
        path: "/home/ada/.ssh".into(),
        kind: SourceKind::Folder,
    };
    assert!(check_mount(&mount, &facts, &host(), &Credentials::default()).is_err());
}

#[test]
fn targets_that_make_the_sandbox_are_refused() {
    for target in [
        "/proc",
        "/proc/sys",
        "/sys",
        "/dev/pts",
        "/etc",
        "/etc/passwd",
        "/run/x",
        "/boot",
        "/",
        "/usr",
        "/bin",
        "/lib64",
        "/usr/bin",
    ] {
        assert!(
            check("/srv/x", target, SourceKind::Folder, &[]).is_err(),
            "{target}"
        );
    }
    for target in [
        "/mnt",
        "/home/ada/project",
        "/usr/local",
        "/opt/x",
        "/workspace",
        "/tmp/x",
        "/etcetera",
        "/devices",
        "/var/lib/x",
    ] {
        assert_eq!(
            check("/srv/x", target, SourceKind::Folder, &[]),
            Ok(()),
            "{target}"
        );
    }
}

fn targets(mounts: &[Mount]) -> Vec<&str> {
    mounts.iter().map(|mount| mount.target.as_str()).collect()
}

#[test]
fn parents_are_mounted_before_what_lies_beneath_and_no_place_twice() {
    let mounts = |targets: &[&str]| -> Vec<Mount> {
        targets
            .iter()
            .map(|target| Mount::new("/srv", target.parse().expect("a path"), false))
            .collect()
    };
    let ordered = order_mounts(mounts(&["/a/b/c", "/a-b", "/a", "/b", "/a/b"])).expect("no two at one place");
    assert_eq!(targets(&ordered), ["/a", "/a/b", "/a/b/c", "/a-b", "/b"]);
    let denied = order_mounts(mounts(&["/a", "/b", "/a/"])).unwrap_err();
    assert_eq!(
        (denied.kind, denied.why.as_str()),
        (ErrorKind::InvalidSpec, "both are to be at /a")
    );
}

fn any_path() -> impl Strategy<Value = PathBuf> {
    let part = proptest::sample::select(vec![
        "home",
        "ada",
        "bob",
        ".ssh",
        ".config",
        "gh",
        ".m2",
        "settings.xml",
        ".local",
        "share",
        "agentkernel",
        "srv",
        "ak",
        "run",
        "mnt",
        "vault",
        "aws",
        "etc",
        "proc",
        "var",
        "project",
        "tmp",
        "id_rsa",
    ]);
    proptest::collection::vec(part, 0..6).prop_map(|parts| Path::new("/").join(parts.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn an_allowed_mount_shows_nothing_that_is_to_be_hidden(
        source in any_path(), target in any_path(), asked in proptest::sample::subsequence(vec!["ssh", "gh", "maven", "aws"], 0..=4),
    ) {
        let target = target.to_str().expect("UTF-8");
        if check(source.to_str().expect("UTF-8"), target, SourceKind::Folder, &asked).is_ok() {
            let host = host();
            let shows = |path: &Path| path.starts_with(&source) || source.starts_with(path);
            prop_assert!(!host.own.iter().any(|own| shows(own)));
            prop_assert!(host.stores.iter().all(|store| !shows(&store.path) || asked.contains(&store.name)));
            prop_assert!(!Path::new("/home/ada").starts_with(&source));
            for system in ["/proc", "/etc", "/run"] {
                prop_assert!(!shows(Path::new(system)) && !Path::new(target).starts_with(system));
            }
        }
    }

    #[test]
    fn ordering_keeps_every_mount_and_puts_no_parent_late(places in proptest::collection::btree_set(any_path(), 0..9)) {
        let made: Vec<_> = places.iter().rev().map(|place| Mount::new("/srv", place.to_str().expect("UTF-8").parse().expect("a path"), false)).collect();
        let ordered = order_mounts(made.clone()).expect("no two at one place");
        prop_assert_eq!(ordered.len(), made.len());
        for (index, earlier) in ordered.iter().enumerate() {
            for later in &ordered[index + 1..] {
                prop_assert!(!earlier.target.starts_with(&later.target));
            }
        }
    }
}
