//! agentkernel.toml: obeyed where it tightens, refused where it loosens, and wrong keys have a line.

use agentkernel_tests::cli::{Home, namespace};

const FILE: &str = "agentkernel.toml";

#[test]
fn a_run_obeys_the_projects_file() {
    let home = Home::new();
    home.write(
        FILE,
        "[sandbox]\nbase_image = \"host\"\n\n[security]\nnetwork = false\nread_only = true\n",
    );
    let script = "readlink /proc/self/ns/net; (: > ~/x) 2>/dev/null || echo read-only";
    let text = home.call(["run", "--", "sh", "-c", script]).success().text();
    let lines: Vec<&str> = text.lines().collect();
    assert_ne!(lines[0], namespace("net"), "the file asks for no network");
    assert_eq!(lines[1..], ["read-only"]);
}

#[test]
fn a_flag_wins_over_the_projects_file() {
    let home = Home::new();
    home.write(FILE, "[sandbox]\nbase_image = \"no.such.registry/image:1\"\n");
    home.call(["run", "--image", "host", "--", "echo", "ran"])
        .success()
        .expect_text("ran\n");
}

#[test]
fn a_projects_file_cannot_loosen() {
    for (key, text) in [
        ("mount_home", "[security]\nmount_home = true\n"),
        ("pass_env", "[security]\npass_env = true\n"),
        ("profile", "[security]\nprofile = \"permissive\"\n"),
    ] {
        let home = Home::new();
        home.write(FILE, format!("[sandbox]\nbase_image = \"host\"\n\n{text}"));
        let outcome = home.call(["run", "--", "true"]).refused(key);
        assert!(
            outcome.errors().contains(FILE),
            "the refusal names the file: {}",
            outcome.errors()
        );
    }
}

#[test]
fn a_flag_may_loosen_what_the_projects_file_asks() {
    let home = Home::new();
    home.write(
        FILE,
        "[sandbox]\nbase_image = \"host\"\n\n[security]\nprofile = \"restrictive\"\n",
    );
    let read = [
        "sh",
        "-c",
        "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | sort",
    ];
    let tight = home.call(["run", "--"].iter().chain(&read)).success().text();
    assert_eq!(tight, "lo\n");
    let loose = home
        .call(["run", "--profile", "moderate", "--"].iter().chain(&read))
        .success()
        .text();
    assert_eq!(loose, "eth0\nlo\n");
}

#[test]
fn the_users_own_file_may_allow_what_a_project_asks() {
    let home = Home::new();
    home.write(
        FILE,
        "[sandbox]\nbase_image = \"host\"\n\n[security]\nmount_home = true\n",
    );
    home.call(["run", "--", "true"]).refused("mount_home");
    home.write_user_settings("[security]\nmount_home = true\n");
    std::fs::write(home.user_home().join("visible"), "seen").expect("a file can be written");
    let path = home.user_home().join("visible");
    home.call(["run", "--", "cat", path.to_str().expect("UTF-8")])
        .success()
        .expect_text("seen");
}

#[test]
fn wrong_keys_and_values_have_a_line_and_a_column() {
    for (text, place, word) in [
        ("[resources]\nmemori_mb = 512\n", "2:1", "memory_mb"),
        ("[resources]\nmemory_mb = \"much\"\n", "2:13", "memory_mb"),
        (
            "[sandbox]\nname = \"box\"\n\n[securty]\nnetwork = true\n",
            "4:2",
            "security",
        ),
        ("[security]\nprofile = \"paranoid\"\n", "2:11", "paranoid"),
        ("[sandbox\n", "1:", FILE),
    ] {
        let home = Home::new();
        home.write(FILE, text);
        let errors = home
            .call(["run", "--image", "host", "--", "true"])
            .refused(word)
            .errors();
        assert!(
            errors.contains(&format!("{FILE}:{place}")),
            "{text:?} is wrong at {place}: {errors}"
        );
    }
}

#[test]
fn files_of_the_project_are_put_into_the_sandbox() {
    let home = Home::new();
    home.write("settings.json", "{}");
    home.write(
        FILE,
        "[sandbox]\nbase_image = \"host\"\n\n[[files]]\nsource = \"settings.json\"\ndest = \"/home/sandbox/.settings\"\nmode = \"0600\"\n",
    );
    home.call(["run", "--", "stat", "-c", "%a %s", "/home/sandbox/.settings"])
        .success()
        .expect_text("600 2\n");
}

#[test]
fn the_origin_of_every_value_can_be_seen() {
    let home = Home::new();
    home.write(FILE, "[resources]\nmemory_mb = 300\n");
    let shown = home.call(["config", "show", "--origin"]).success().text();
    let line = shown
        .lines()
        .find(|line| line.contains("memory_mb"))
        .expect("a set key is shown");
    assert!(line.contains("300") && shown.contains(FILE), "{shown}");
    let schema: serde_json::Value =
        serde_json::from_slice(&home.call(["config", "schema"]).success().stdout).expect("a schema is JSON");
    assert!(schema["properties"]["security"].is_object(), "{schema}");
}
