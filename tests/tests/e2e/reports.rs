//! What is shown of sandboxes and of the host, for people and for programs.

use std::process::Command;

use agentkernel_tests::cli::{Home, find, mentions};

#[test]
fn every_json_document_has_a_schema_version() {
    let home = Home::new();
    home.create("box", &[]);
    for arguments in [
        &["list", "--json"][..],
        &["inspect", "box", "--json"],
        &["doctor", "--json"],
        &["setup", "--check", "--json"],
        &["gc", "--json"],
        &["gc", "--dry-run", "--json"],
        &["version", "--json"],
        &["stats", "box", "--json"],
        &["exec-list", "box", "--json"],
        &["config", "show", "--json"],
        &["run", "--explain", "--json", "--", "python3", "-c", "print(1)"],
    ] {
        let outcome = home.call(arguments);
        assert!(
            matches!(outcome.status.code(), Some(0)),
            "{arguments:?}: {}",
            outcome.errors()
        );
        outcome.json();
    }
}

#[test]
fn a_run_as_json_is_one_event_a_line() {
    let home = Home::new();
    let script = "echo out; echo err >&2; exit 5";
    let outcome = home
        .call(["run", "--image", "host", "--json", "--", "sh", "-c", script])
        .expect_code(5);
    let events: Vec<serde_json::Value> = outcome
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert!(events.len() >= 4, "{events:?}");
    for (index, event) in events.iter().enumerate() {
        assert!(event["schema_version"].is_u64(), "{event}");
        assert_eq!(event["sequence"].as_u64(), Some(index as u64 + 1), "{event}");
    }
    let first = &events[0];
    assert_eq!(
        find(first, "network").and_then(|mode| mode.as_str()),
        Some("public"),
        "{first}"
    );
    assert_eq!(
        find(first, "isolation").and_then(|grade| grade.as_str()),
        Some("container"),
        "{first}"
    );
    let last = &events[events.len() - 1];
    assert_eq!(
        (last["type"].as_str(), last["exit_code"].as_u64()),
        (Some("finished"), Some(5)),
        "{last}"
    );
    let data = |kind: &str| -> String {
        let of_kind = events.iter().filter(|event| event["type"] == kind);
        of_kind.filter_map(|event| event["data"].as_str()).collect()
    };
    assert_eq!(
        (data("stdout"), data("stderr")),
        ("out\n".to_owned(), "err\n".to_owned())
    );
}

#[test]
fn a_failure_as_json_has_a_code_and_a_hint() {
    let home = Home::new();
    let outcome = home
        .call(["run", "--json", "--isolation", "vm", "--", "true"])
        .refused("vm");
    let line = outcome
        .stderr
        .split(|byte| *byte == b'\n')
        .next()
        .expect("there is a first line");
    let document: serde_json::Value = serde_json::from_slice(line).expect("an error is one line of JSON");
    assert!(document["schema_version"].is_u64(), "{document}");
    assert!(
        document["error"]["code"].is_string() && document["error"]["message"].is_string(),
        "{document}"
    );
}

#[test]
fn the_list_has_a_row_for_each_sandbox() {
    let home = Home::new();
    home.create("beta", &[]);
    home.create("alpha", &[]);
    for verb in [&["list"][..], &["ls"], &["ps"], &["sandbox", "list"]] {
        let table = home.call(verb).success().text();
        let lines: Vec<&str> = table.lines().collect();
        for column in ["NAME", "STATUS", "BACKEND", "ISOLATION", "IMAGE", "AGE"] {
            assert!(lines[0].contains(column), "{verb:?}: {table}");
        }
        assert_eq!(lines.len(), 3, "{verb:?}: {table}");
        assert!(
            lines[1].contains("alpha") && lines[2].contains("beta"),
            "{verb:?}: {table}"
        );
        assert!(
            lines[1].contains("running") && lines[1].contains("host"),
            "{verb:?}: {table}"
        );
    }
}

#[test]
fn every_verb_has_its_full_form() {
    let home = Home::new();
    home.remember("box");
    home.call(["sandbox", "create", "box", "--image", "host"])
        .success();
    home.call(["sandbox", "exec", "box", "--", "echo", "hi"])
        .success()
        .expect_text("hi\n");
    home.call(["sandbox", "stop", "box"]).success();
    home.call(["sandbox", "start", "box"]).success();
    home.call(["sandbox", "restart", "box"]).success();
    home.call(["sandbox", "inspect", "box"]).success();
    home.call(["sandbox", "remove", "-f", "box"]).success();
}

#[test]
fn the_doctor_names_every_backend_with_its_grade_and_reason() {
    let home = Home::new();
    let report = home.call(["doctor", "--json"]).success().json();
    let backends = find(&report, "backends")
        .and_then(|rows| rows.as_array())
        .expect("a list of backends");
    assert!(!backends.is_empty());
    for backend in backends {
        for key in ["name", "isolation", "reason"] {
            assert!(
                backend[key].as_str().is_some_and(|text| !text.is_empty()),
                "{key}: {backend}"
            );
        }
        assert!(backend["usable"].is_boolean(), "{backend}");
    }
    assert!(mentions(&report, "native"), "{report}");
    assert!(home.call(["doctor"]).success().text().contains("native"));
}

#[test]
fn the_collector_finds_nothing_to_do_twice() {
    let home = Home::new();
    home.create("box", &[]);
    home.call(["gc"]).success();
    let again = home.call(["gc", "--json"]).success().json();
    assert_eq!(
        find(&again, "removed")
            .and_then(|rows| rows.as_array())
            .map(Vec::len),
        Some(0),
        "{again}"
    );
    home.exec("box", &["echo", "still here"])
        .success()
        .expect_text("still here\n");
}

#[test]
fn an_explanation_names_every_choice_and_makes_nothing() {
    let home = Home::new();
    let text = home
        .call(["run", "--explain", "--", "python3", "-c", "print(6*7)"])
        .success()
        .text();
    for word in ["python", "image", "backend", "network"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!text.contains("42\n"), "the command has run: {text}");
}

#[test]
fn the_version_is_the_packages() {
    let home = Home::new();
    let expected = env!("CARGO_PKG_VERSION");
    for arguments in [&["--version"][..], &["-V"], &["version"]] {
        assert!(
            home.call(arguments).success().text().contains(expected),
            "{arguments:?}"
        );
    }
}

#[test]
fn completions_are_shell_scripts() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(
            home.call(["completions", shell])
                .success()
                .text()
                .contains("agentkernel"),
            "{shell}"
        );
    }
    let script = home.write(
        "completions.bash",
        home.call(["completions", "bash"]).success().stdout,
    );
    let checked = Command::new("bash")
        .arg("-n")
        .arg(script)
        .status()
        .expect("bash can be run");
    assert!(checked.success(), "bash does not parse its completions");
}

#[test]
fn help_goes_to_stdout_and_names_every_verb() {
    let help = Home::new().call(["--help"]).success().text();
    for verb in [
        "run",
        "create",
        "start",
        "stop",
        "restart",
        "exec",
        "attach",
        "list",
        "inspect",
        "logs",
        "cp",
        "remove",
        "setup",
        "doctor",
        "gc",
        "config",
        "completions",
        "version",
    ] {
        assert!(help.contains(verb), "{verb}: {help}");
    }
}

#[test]
fn nothing_is_coloured_without_a_terminal() {
    let home = Home::new();
    home.create("box", &[]);
    for arguments in [
        &["list"][..],
        &["doctor"],
        &["inspect", "box"],
        &["exec", "nobody", "--", "true"],
    ] {
        let outcome = home.call(arguments);
        assert!(
            !outcome.text().contains('\u{1b}') && !outcome.errors().contains('\u{1b}'),
            "{arguments:?}"
        );
    }
}
