//! Configurations of images, their commands and their users.

#![expect(clippy::unwrap_used, reason = "a test fails with a panic")]

mod store_common;

use std::{collections::BTreeSet, ffi::OsString, path::PathBuf};

use agentkernel_image::{
    Account, Accounts, Image, ImageConfig, Owners, Source, host_architecture, unpack::Ownership,
};
use agentkernel_types::ErrorKind;
use proptest::prelude::*;
use serde_json::{Value, json};
use store_common::digest;

fn with(config: Value) -> Vec<u8> {
    let diff_ids = [digest(b"layer")];
    json!({
        "os": "linux", "architecture": host_architecture(), "config": config,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
    .to_string()
    .into_bytes()
}

#[test]
fn a_configuration_of_docker_is_read_with_its_quirks() {
    let json = with(json!({
        "Hostname": "", "AttachStdin": false, "OnBuild": null, "ArgsEscaped": true,
        "User": "", "WorkingDir": "", "Entrypoint": null, "Cmd": "a string",
        "Env": ["PATH=/bin", "EMPTY=", "NOTHING", "=x", "A=b=c", "PATH=/usr/bin"],
        "Labels": {"a": null, "b": "c"}, "Volumes": null, "ExposedPorts": {"80/tcp": {}}, "StopSignal": "SIGINT",
    }));
    let parsed = ImageConfig::parse(&json).unwrap();
    assert_eq!(parsed.id, digest(&json));
    assert_eq!(parsed.diff_ids, [digest(b"layer")]);
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    assert_eq!(
        parsed.config,
        ImageConfig {
            env: [("PATH", "/usr/bin"), ("EMPTY", ""), ("A", "b=c")]
                .map(pair)
                .into(),
            cmd: vec!["a string".to_owned()],
            labels: [("a", ""), ("b", "c")].map(pair).into(),
            exposed_ports: vec!["80/tcp".to_owned()],
            stop_signal: Some("SIGINT".to_owned()),
            os: "linux".to_owned(),
            architecture: host_architecture().to_owned(),
            ..ImageConfig::default()
        }
    );
}

#[test]
fn nulls_and_missing_fields_are_as_good_as_empty_ones() {
    let rootfs = json!({"type": "layers", "diff_ids": [digest(b"layer")]});
    for config in [
        json!(null),
        json!({}),
        json!({"Env": null, "Labels": null, "Cmd": null, "Volumes": null}),
    ] {
        let json = json!({"config": config, "rootfs": rootfs, "created": null, "variant": null, "os": null});
        let parsed = ImageConfig::parse(json.to_string().as_bytes()).unwrap();
        assert_eq!(parsed.config, ImageConfig::default());
        parsed
            .config
            .check_platform()
            .expect("an image that says nothing is for this machine");
    }
}

#[test]
fn what_cannot_be_an_image_is_refused_by_its_reason() {
    let layer = digest(b"layer");
    let rootfs = |rootfs: Value| json!({"rootfs": rootfs}).to_string().into_bytes();
    let many: Vec<_> = (0..128).map(|_| &layer).collect();
    let cases: &[(Vec<u8>, &str)] = &[
        (b"".to_vec(), "EOF"),
        (b"[]".to_vec(), "cannot be used"),
        (b"{}".to_vec(), "names no layers"),
        (vec![b' '; (8 << 20) + 1], "longer than 8 MiB"),
        (rootfs(json!(null)), "names no layers"),
        (rootfs(json!({"type": "layers", "diff_ids": []})), "has no layers"),
        (
            rootfs(json!({"type": "layers", "diff_ids": null})),
            "has no layers",
        ),
        (
            rootfs(json!({"type": "layers+base", "diff_ids": [layer]})),
            "rootfs.type",
        ),
        (
            rootfs(json!({"type": "layers", "diff_ids": ["sha256:../../etc"]})),
            "invalid digest",
        ),
        (
            rootfs(json!({"type": "layers", "diff_ids": ["sha512:00"]})),
            "invalid digest",
        ),
        (
            rootfs(json!({"type": "layers", "diff_ids": many})),
            "has 128 layers",
        ),
        (with(json!({"Env": ["A=\0"]})), "Env has a NUL"),
        (with(json!({"Cmd": ["\0"]})), "Cmd has a NUL"),
        (with(json!({"Entrypoint": {"a": 1}})), "cannot be used"),
        (
            [br#"{"config":{"Cmd":"#.to_vec(), vec![b'['; 200_000]].concat(),
            "recursion limit",
        ),
    ];
    for (json, why) in cases {
        let error = ImageConfig::parse(json).unwrap_err();
        assert!(error.to_string().contains(why), "{why}: {error}");
        assert_eq!(error.kind(), ErrorKind::InvalidSpec);
    }
}

#[test]
fn an_image_for_another_machine_is_refused_with_both_named() {
    for (os, architecture) in [
        ("windows", "amd64"),
        ("linux", "s390x"),
        ("freebsd", host_architecture()),
    ] {
        let config = ImageConfig {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            ..ImageConfig::default()
        };
        let error = config.check_platform().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(
            error.to_string().contains(&format!("{os}/{architecture}")),
            "{error}"
        );
        assert!(error.hint_text().unwrap().contains(host_architecture()));
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace()
        .map(|word| {
            if word == "''" {
                String::new()
            } else {
                word.to_owned()
            }
        })
        .collect()
}

#[test]
fn entrypoint_and_cmd_follow_dockers_rules() {
    // ENTRYPOINT, CMD, the user's entrypoint ("-": none), the user's arguments, what runs.
    #[rustfmt::skip]
    let table = [
        ["",      "",    "-",   "",    ""],
        ["",      "c d", "-",   "",    "c d"],
        ["",      "c d", "-",   "x",   "x"],
        ["e",     "",    "-",   "",    "e"],
        ["e",     "",    "-",   "x y", "e x y"],
        ["e f",   "c",   "-",   "",    "e f c"],
        ["e f",   "c",   "-",   "x",   "e f x"],
        ["e",     "c",   "u",   "",    "u"],
        ["e",     "c",   "u",   "x",   "u x"],
        ["",      "c",   "u",   "",    "u"],
        ["e",     "c",   "u v", "x",   "u v x"],
        ["e",     "c",   "''",  "",    ""],
        ["e",     "c",   "''",  "x",   "x"],
        ["e",     "c",   "",    "",    "c"],
        ["e",     "c",   "",    "x",   "x"],
        ["''",    "c",   "-",   "",    "c"],
        ["''",    "c",   "-",   "x",   "x"],
        ["/bin/sh -c", "echo", "-", "",  "/bin/sh -c echo"],
        ["/bin/sh -c", "echo", "-", "x", "/bin/sh -c x"],
        ["e",     "c",   "-",   "''",  "e ''"],
    ];
    for [entrypoint, cmd, own, args, runs] in table {
        let config = ImageConfig {
            entrypoint: words(entrypoint),
            cmd: words(cmd),
            ..ImageConfig::default()
        };
        let own = (own != "-").then(|| words(own));
        let args: Vec<OsString> = words(args).into_iter().map(Into::into).collect();
        let command = config.command(own.as_deref(), &args).unwrap();
        let found: Vec<OsString> = command.map(|command| command.argv().to_vec()).unwrap_or_default();
        let expected: Vec<OsString> = words(runs).into_iter().map(Into::into).collect();
        assert_eq!(found, expected, "{entrypoint:?} {cmd:?} {own:?} {args:?}");
    }
}

#[test]
fn a_command_with_an_empty_name_is_refused() {
    let config = ImageConfig {
        cmd: words("'' x"),
        ..ImageConfig::default()
    };
    assert!(config.command(None, &[]).is_err());
}

fn image(user: Option<&str>) -> Image {
    let account = |name: &str, uid, gid, home: Option<&str>| Account {
        name: name.to_owned(),
        uid,
        gid,
        home: home.map(|home| home.parse().unwrap()),
    };
    Image {
        id: digest(b"image"),
        manifest: None,
        source: Source::Archive {
            path: PathBuf::new().display().to_string(),
        },
        config: ImageConfig {
            user: user.map(str::to_owned),
            ..ImageConfig::default()
        },
        layers: Vec::new(),
        owners: Owners {
            uids: BTreeSet::new(),
            gids: BTreeSet::new(),
        },
        ownership: Ownership::Caller,
        accounts: Accounts {
            users: vec![
                account("root", 0, 0, Some("/root")),
                account("app", 1000, 1001, Some("/home/app")),
                account("7", 77, 78, None),
            ],
            groups: vec![
                ("root".to_owned(), 0),
                ("staff".to_owned(), 50),
                ("9".to_owned(), 99),
            ],
        },
        created_at_ms: 0,
    }
}

#[test]
fn users_are_looked_up_in_the_image() {
    // The user's wish, the image's own, then uid, gid, name, home.
    type Case = (&'static str, &'static str, u32, u32, &'static str, &'static str);
    #[rustfmt::skip]
    let table: &[Case] = &[
        ("", "",          0,    0,    "root", "/root"),
        ("", "app",       1000, 1001, "app",  "/home/app"),
        ("", "app:staff", 1000, 50,   "app",  "/home/app"),
        ("", "app:",      1000, 1001, "app",  "/home/app"),
        ("", ":staff",    0,    50,   "root", "/root"),
        ("", "1000",      1000, 1001, "app",  "/home/app"),
        ("", "1000:0",    1000, 0,    "app",  "/home/app"),
        ("", "4294967294:4294967294", 4294967294, 4294967294, "", "/"),
        ("app", "root",   1000, 1001, "app",  "/home/app"),
        ("1234", "",      1234, 0,    "",     "/"),
        ("1234:staff", "", 1234, 50,  "",     "/"),
        ("7", "",         77,   78,   "7",    "/"),
        ("0:9", "",       0,    99,   "root", "/root"),
    ];
    for &(wish, own, uid, gid, name, home) in table {
        let spec = (!wish.is_empty()).then(|| wish.parse().unwrap());
        let image = image((!own.is_empty()).then_some(own));
        let user = image
            .user(spec.as_ref())
            .unwrap_or_else(|error| panic!("{wish:?} {own:?}: {error}"));
        let found = (
            user.uid,
            user.gid,
            user.name.as_deref().unwrap_or_default(),
            user.home.as_str(),
        );
        assert_eq!(found, (uid, gid, name, home), "{wish:?} {own:?}");
    }
}

#[test]
fn unknown_users_and_groups_are_refused_with_the_known_ones() {
    let error = image(Some("ap")).user(None).unwrap_err();
    assert_eq!(error.to_string(), "the image has no user called \"ap\"");
    assert_eq!(
        error.hint_text(),
        Some("it has root, app, 7; a number works, too")
    );
    assert_eq!(error.field(), Some("user"));
    for own in [
        "app:nogroup",
        "4294967295",
        "-1",
        "0:4294967295",
        "+0",
        "app:staff:x",
    ] {
        assert!(image(Some(own)).user(None).is_err(), "{own}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_configuration_that_we_write_is_read_back(
        env in prop::collection::btree_map("[A-Z]{1,8}", "[ -~]{0,20}", 0..5),
        words in prop::collection::vec("[ -~]{0,20}", 0..5),
        user in prop::option::of("[a-z]{1,8}"),
        layers in 1_usize..127,
    ) {
        let config = ImageConfig {
            env: env.into_iter().collect(),
            entrypoint: words.clone(),
            cmd: words,
            user,
            labels: vec![("a".to_owned(), "b".to_owned())],
            volumes: vec!["/data".to_owned()],
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
            created: Some("2026-01-01T00:00:00Z".to_owned()),
            ..ImageConfig::default()
        };
        let diff_ids = vec![digest(b"layer"); layers];
        let parsed = ImageConfig::parse(&config.to_json(&diff_ids)).unwrap();
        prop_assert_eq!(parsed.config, config);
        prop_assert_eq!(parsed.diff_ids, diff_ids);
    }
}
