//! Refuse, never ignore: what cannot be honoured is refused by name, with exit code 125 and without a trace.

use agentkernel_tests::cli::{Footprint, Home, Outcome};

/// `run` with these flags, and the word that the refusal must contain.
const RUN: &[(&[&str], &str)] = &[
    (&["--backend", "nosuch"], "nosuch"),
    (&["--backend", "Not A Name"], "Not A Name"),
    (&["--isolation", "vm"], "vm"),
    (&["--isolation", "user-kernel"], "user-kernel"),
    (&["--isolation", "wasm+vm"], "wasm+vm"),
    (&["--isolation", "perfect"], "perfect"),
    (&["--isolation", "vm", "--backend", "native"], "vm"),
    (&["--image", "python:3.12-alpine"], "python:3.12-alpine"),
    (&["--image", "../etc"], "../etc"),
    (&["--image", ""], "image"),
    (&["--profile", "paranoid"], "paranoid"),
    (&["--memory", "lots"], "lots"),
    (&["--memory", "0"], "0"),
    (&["--memory", "99999999999999999999"], "99999999999999999999"),
    (&["--cpus", "0"], "0"),
    (&["--cpus", "many"], "many"),
    (&["--cpus", "-1"], "-1"),
    (&["--pids", "some"], "some"),
    (&["--timeout", "soon"], "soon"),
    (&["--timeout", "0"], "0"),
    (&["--timeout", "9999d"], "9999d"),
    (&["--mount", "nocolon"], "nocolon"),
    (&["--mount", "/tmp:relative"], "relative"),
    (&["--mount", "/tmp:/"], "/tmp:/"),
    (&["--mount", "/tmp:/a/../b"], "/a/../b"),
    (&["--mount", "/no/such/folder:/data"], "/no/such/folder"),
    (&["--mount", ":/data"], ":/data"),
    (&["-e", "=value"], "=value"),
    (&["--env-file", "/no/such/file"], "/no/such/file"),
    (&["-w", "relative"], "relative"),
    (&["-w", "/a/../b"], "/a/../b"),
    (&["-u", "bad!user"], "bad!user"),
    (&["-u", "70000"], "70000"),
    (
        &["--config", "/no/such/agentkernel.toml"],
        "/no/such/agentkernel.toml",
    ),
    (&["--name", "../evil"], "../evil"),
    (&["--no-such-flag"], "--no-such-flag"),
    (&["--fast"], "--fast"),
    (&["--publish", "0:0"], "0:0"),
    (&["--publish", "80:80", "--no-network"], "--publish"),
    (&["--allow", "https://example.org/"], "https://example.org/"),
    (&["--allow", "preset:nmp"], "preset:npm"),
    (&["--allow", "127.0.0.1"], "127.0.0.1"),
    (&["--network", "open", "--dns", "nowhere"], "nowhere"),
    (&["--secret", "TOKEN"], "--secret"),
    (&["--ssh"], "--ssh"),
    (&["--ttl", "1h"], "--ttl"),
];

#[test]
fn a_run_that_cannot_be_honoured_is_refused_by_name() {
    let home = Home::new();
    let wrong: Vec<String> = RUN
        .iter()
        .filter_map(|(flags, name)| {
            let arguments = [&["run"], *flags, &["--", "sh", "-c", "echo RAN"]].concat();
            unnamed(&home.call(arguments), &[name]).map(|why| format!("{flags:?}: {why}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Why this is no refusal that names everything, if it is none.
fn unnamed(outcome: &Outcome, names: &[&str]) -> Option<String> {
    let errors = outcome.errors();
    if outcome.status.code() != Some(125) || outcome.text().contains("RAN") {
        return Some(format!(
            "not refused: {}, {:?}, {errors:?}",
            outcome.status,
            outcome.text()
        ));
    }
    let missing = names.iter().find(|name| !errors.contains(**name));
    missing
        .map(|name| format!("{name:?} is not named: {errors:?}"))
        .or_else(|| {
            errors
                .contains("panicked")
                .then(|| format!("a panic is no refusal: {errors:?}"))
        })
}

#[test]
fn a_refused_request_leaves_nothing() {
    let home = Home::new();
    home.run(&[], &["true"]).success();
    let files = || Footprint::of(&home.state()).files;
    let before = files();
    home.call(["run", "--isolation", "vm", "--", "true"])
        .refused("vm");
    home.call(["run", "--image", "python:3.12-alpine", "--", "true"])
        .refused("python:3.12-alpine");
    home.call(["create", "box", "--isolation", "vm"]).refused("vm");
    home.call(["create", "box", "--image", "python:3.12-alpine"])
        .refused("python:3.12-alpine");
    assert_eq!(files(), before);
}

#[test]
fn every_verb_names_the_sandbox_that_is_not_there() {
    let home = Home::new();
    home.write("file", "");
    for arguments in [
        &["exec", "nobody", "--", "true"][..],
        &["start", "nobody"],
        &["stop", "nobody"],
        &["restart", "nobody"],
        &["inspect", "nobody"],
        &["logs", "nobody"],
        &["attach", "nobody"],
        &["remove", "nobody"],
        &["cp", "file", "nobody:/tmp/file"],
        &["cp", "nobody:/tmp/file", "file"],
    ] {
        home.call(arguments).refused("nobody");
    }
}

#[test]
fn names_that_are_none_are_refused() {
    let home = Home::new();
    let long = "x".repeat(64);
    for name in [
        "../evil",
        "a/b",
        ".",
        "..",
        ".hidden",
        "a b",
        "a:b",
        "na\nme",
        "\u{e9}",
        long.as_str(),
    ] {
        let outcome = home.call(["create", "--image", "host", "--", name]);
        assert_eq!(outcome.status.code(), Some(125), "{name:?}: {}", outcome.errors());
        assert!(
            outcome.errors().contains("name"),
            "{name:?}: {}",
            outcome.errors()
        );
    }
    assert!(!home.root().join("evil").exists() && !home.state().join("evil").exists());
}

#[test]
fn incomplete_commands_are_refused() {
    let home = Home::new();
    home.create("box", &[]);
    for arguments in [
        &["run"][..],
        &["run", "--"],
        &["run", "--", ""],
        &["exec", "box"],
        &["exec", "box", "--"],
        &["cp", "box:/tmp"],
        &["cp", "one", "two"],
        &["cp", "box:/tmp/a", "box:/tmp/b"],
        &["cp", "box:relative", "x"],
        &["completions", "tcsh"],
        &["snapshot", "box"],
        &["no-such-verb"],
    ] {
        let outcome = home.call(arguments);
        assert_eq!(
            outcome.status.code(),
            Some(125),
            "{arguments:?}: {}",
            outcome.errors()
        );
        assert!(!outcome.errors().is_empty(), "{arguments:?} says nothing");
    }
}

/// A project file and the key that its refusal must contain.
const KEYS: &[(&str, &str)] = &[
    ("[sandbox]\nnme = \"x\"\n", "nme"),
    ("[sandbox]\nname = 5\n", "name"),
    ("[sandbox]\nname = \"a/b\"\n", "a/b"),
    ("[sandbox]\nruntime = \"cobol\"\n", "cobol"),
    ("[sandbox]\nbase_image = \"../x\"\n", "../x"),
    ("[sandbox]\ninit_script = \"x\"\n", "init_script"),
    ("[agent]\nprefered = \"claude\"\n", "prefered"),
    ("[resources]\nvcpus = -1\n", "vcpus"),
    ("[resources]\nvcpus = 0\n", "vcpus"),
    ("[resources]\nmemory_mb = 0\n", "memory_mb"),
    ("[resources]\npids = \"many\"\n", "pids"),
    ("[resources]\ntimeout = \"soon\"\n", "timeout"),
    ("[security]\nprofile = \"none\"\n", "profile"),
    ("[security]\nnetwork = \"yes\"\n", "network"),
    ("[security]\nseccomp = \"default\"\n", "seccomp"),
    ("[[files]]\nsource = \"a\"\n", "dest"),
    ("[[files]]\nsource = \"a\"\ndest = \"relative\"\n", "dest"),
    (
        "[[files]]\nsource = \"a\"\ndest = \"/a\"\nmode = \"999\"\n",
        "mode",
    ),
    (
        "[[files]]\nsource = \"no-such-file\"\ndest = \"/a\"\n",
        "no-such-file",
    ),
    ("[[mounts]]\nsource = \"a\"\n", "mounts"),
    ("[security]\ndomains = [\"example.com\"]\n", "domains"),
    ("[network]\nports = [\"80:80\"]\n", "ports"),
    ("[secrets]\nTOKEN = \"x\"\n", "secrets"),
    ("[ssh]\nenabled = true\n", "ssh"),
    ("[defaults]\nbackend = \"nosuch\"\n", "defaults"),
    ("[api]\nkey = \"x\"\n", "api"),
];

#[test]
fn a_key_that_cannot_be_honoured_is_refused_by_name() {
    let home = Home::new();
    let wrong: Vec<String> = KEYS
        .iter()
        .filter_map(|(text, key)| {
            home.write("agentkernel.toml", text);
            let outcome = home.call(["run", "--image", "host", "--", "echo", "RAN"]);
            unnamed(&outcome, &[key, "agentkernel.toml"]).map(|why| format!("{text:?}: {why}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_explicit_image_has_no_fallback_and_a_way_out() {
    let home = Home::new();
    let outcome = home
        .call(["run", "--image", "python:3.12-alpine", "--", "true"])
        .refused("python:3.12-alpine");
    assert!(outcome.errors().contains("hint:"), "{}", outcome.errors());
    assert!(outcome.errors().contains("host"), "{}", outcome.errors());
}

#[test]
fn a_missing_grade_fails_closed_and_says_what_there_is() {
    let home = Home::new();
    let outcome = home
        .call(["run", "--isolation", "vm", "--", "true"])
        .refused("vm");
    assert!(
        outcome.errors().contains("container"),
        "the grade that there is: {}",
        outcome.errors()
    );
}
