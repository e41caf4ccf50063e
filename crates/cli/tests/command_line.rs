//! The real binary, as far as it goes without a sandbox.

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use snapbox::{assert_data_eq, file};

fn agentkernel(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agentkernel"));
    // Help is as wide as the terminal of whoever runs the tests; this is nobody's.
    command
        .args(words)
        .env("COLUMNS", "100")
        .env_remove("AGENTKERNEL_PROFILE")
        .stdin(Stdio::null());
    command
}

fn output(words: &[&str]) -> Output {
    agentkernel(words).output().expect("the binary can be started")
}

fn stdout(words: &[&str]) -> String {
    let output = output(words);
    assert!(
        output.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.stderr.is_empty(), "{words:?}");
    String::from_utf8(output.stdout).expect("the output is text")
}

#[test]
fn the_help_is_what_was_agreed() {
    assert_data_eq!(stdout(&["--help"]), file!["snapshots/help.txt"]);
    assert_data_eq!(stdout(&["run", "--help"]), file!["snapshots/run.txt"]);
    assert_data_eq!(stdout(&["image", "--help"]), file!["snapshots/image.txt"]);
    assert_data_eq!(
        stdout(&["image", "build", "--help"]),
        file!["snapshots/image_build.txt"]
    );
}

#[test]
fn the_version_is_told_to_people_and_programs() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(stdout(&["version"]), format!("agentkernel {version}\n"));
    assert_eq!(stdout(&["--version"]), format!("agentkernel {version}\n"));
    let value: Value = serde_json::from_str(&stdout(&["version", "--json"])).unwrap();
    assert_eq!(
        (value["schema_version"].as_u64(), value["version"].as_str()),
        (Some(1), Some(version))
    );
}

#[test]
fn a_wrong_call_says_so_on_stderr_only() {
    for (words, code) in [
        (&["run", "--bogus", "true"][..], 125),
        (&["list", "--bogus"][..], 125),
        (&["run"][..], 125),
    ] {
        let output = output(words);
        assert_eq!(output.status.code(), Some(code), "{words:?}");
        assert!(output.stdout.is_empty(), "{words:?}");
        assert!(output.stderr.starts_with(b"error: "), "{words:?}");
    }
}

#[test]
fn an_error_for_programs_is_one_object_on_stderr() {
    let output = output(&["run", "--json", "--env-file", "/nowhere/env", "true"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(output.stdout.is_empty());
    let value: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(value["schema_version"], 1);
    assert_eq!(value["error"]["code"], "invalid_spec");
    assert!(
        value["error"]["message"]
            .as_str()
            .unwrap()
            .contains("/nowhere/env")
    );
}

#[test]
fn a_wrong_project_file_is_shown_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("agentkernel.toml"),
        "[sandbox]\nnmae = \"x\"\n",
    )
    .unwrap();
    let output = agentkernel(&["config", "show"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(125));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("error: "), "{text}");
    assert!(text.contains("agentkernel.toml:2:1"), "{text}");
    assert_eq!(text.matches("error").count(), 1, "{text}");
}

#[test]
fn the_settings_say_where_they_come_from() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("agentkernel.toml"),
        "[security]\nprofile = \"restrictive\"\n",
    )
    .unwrap();
    let show = |words: &[&str]| {
        let output = agentkernel(words)
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let text = show(&["config", "show", "--origin"]);
    let line = text
        .lines()
        .find(|line| line.starts_with("security.profile"))
        .unwrap();
    assert!(
        line.contains("restrictive") && line.contains("agentkernel.toml:2"),
        "{line}"
    );
    assert!(!show(&["config", "show"]).contains("ORIGIN"));
    let value: Value = serde_json::from_str(&show(&["config", "show", "--json"])).unwrap();
    assert!(
        value["settings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["value"] == "restrictive")
    );
}

#[test]
fn the_schema_is_json_and_the_completions_are_there_for_every_shell() {
    let schema: Value = serde_json::from_str(&stdout(&["config", "schema"])).unwrap();
    assert!(schema["properties"]["security"].is_object());
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(stdout(&["completions", shell]).contains("no-network"), "{shell}");
    }
}

#[test]
fn a_reader_that_has_gone_gives_141_without_a_word() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = agentkernel(&["completions", "bash"])
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert!(output.stderr.is_empty());
}

#[test]
fn the_name_it_is_called_by_does_not_matter() {
    let output = agentkernel(&["version"]).arg0("/somewhere/ak").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}
