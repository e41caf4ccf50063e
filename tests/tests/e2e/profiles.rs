//! What each profile grants, and that nothing grants credentials.

use std::fs;

use agentkernel_tests::cli::{Home, Outcome, PATIENCE, wait_for};

/// Prints what a sandbox can do, one `name=value` a line.
fn probe(home: &Home) -> String {
    format!(
        "echo net=$(tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | sort | paste -sd,)
         (: > /home/sandbox/written) 2>/dev/null && echo root=yes || echo root=no
         (: > /tmp/written) 2>/dev/null && echo tmp=yes || echo tmp=no
         (: > {project}/written) 2>/dev/null && echo cwd=yes || echo cwd=no
         test -f {home}/visible && echo home=yes || echo home=no
         (: >> {home}/visible) 2>/dev/null && echo homewrite=yes || echo homewrite=no
         echo env=$AK_PROBE",
        project = home.project().display(),
        home = home.user_home().display(),
    )
}

fn run_probe(home: &Home, flags: &[&str]) -> Vec<String> {
    let script = probe(home);
    let arguments = [&["run", "--image", "host"], flags, &["--", "sh", "-c", &script]].concat();
    let mut command = home.command(arguments);
    command.env("AK_PROBE", "passed");
    let outcome = wait_for(command.spawn().expect("the binary can be started"), PATIENCE).success();
    outcome.text().lines().map(str::to_owned).collect()
}

#[track_caller]
fn expect_grants(flags: &[&str], expected: [&str; 6], network: bool) {
    let home = Home::new();
    fs::write(home.user_home().join("visible"), "").expect("a file can be written");
    let lines = run_probe(&home, flags);
    assert_eq!(lines[1..], expected, "{flags:?}");
    // Behind a gateway: the host's own network is never shared unasked.
    let interfaces = if network { "net=eth0,lo" } else { "net=lo" };
    assert_eq!(lines[0], interfaces, "{flags:?}");
}

#[test]
fn permissive_grants_network_folder_home_and_environment() {
    let expected = [
        "root=yes",
        "tmp=yes",
        "cwd=yes",
        "home=yes",
        "homewrite=no",
        "env=passed",
    ];
    expect_grants(&["--profile", "permissive"], expected, true);
}

#[test]
fn moderate_is_the_default_and_grants_the_network_only() {
    let expected = ["root=yes", "tmp=yes", "cwd=no", "home=no", "homewrite=no", "env="];
    expect_grants(&["--profile", "moderate"], expected, true);
    expect_grants(&[], expected, true);
}

#[test]
fn restrictive_grants_a_private_tmp_and_nothing_else() {
    let expected = ["root=no", "tmp=yes", "cwd=no", "home=no", "homewrite=no", "env="];
    expect_grants(&["--profile", "restrictive"], expected, false);
}

#[test]
fn flags_change_single_grants() {
    let plain = ["root=yes", "tmp=yes", "cwd=no", "home=no", "homewrite=no", "env="];
    expect_grants(&["--no-network"], plain, false);
    expect_grants(
        &["--read-only"],
        ["root=no", "tmp=yes", "cwd=no", "home=no", "homewrite=no", "env="],
        true,
    );
    expect_grants(
        &["--mount-cwd"],
        [
            "root=yes",
            "tmp=yes",
            "cwd=yes",
            "home=no",
            "homewrite=no",
            "env=",
        ],
        true,
    );
}

#[test]
fn without_network_there_is_loopback_only() {
    let home = Home::new();
    let script = "sed -n 's/^ *\\([^:]*\\):.*/\\1/p' /proc/net/dev";
    home.run(&["--no-network"], &["sh", "-c", script])
        .success()
        .expect_text("lo\n");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let port = listener.local_addr().expect("a listener has an address").port();
    let connect = format!("import socket; socket.create_connection(('127.0.0.1', {port}), 5)");
    home.run(&["--no-network"], &["python3", "-c", &connect])
        .expect_code(1);
}

#[test]
fn the_network_is_said_aloud() {
    let home = Home::new();
    for mode in ["public", "host"] {
        home.create(mode, &["--network", mode]);
        let shown = home.call(["inspect", mode, "--json"]).success().json();
        assert_eq!(shown["spec"]["network"]["mode"], mode, "{shown}");
    }
}

#[test]
fn a_mounted_home_never_shows_credentials() {
    let home = Home::new();
    let stores = [
        ".ssh/id_ed25519",
        ".aws/credentials",
        ".gnupg/secring.gpg",
        ".config/gcloud/credentials.db",
        ".docker/config.json",
        ".kube/config",
        ".netrc",
        ".mozilla/firefox/logins.json",
        ".config/google-chrome/Cookies",
        ".git-credentials",
        ".npmrc",
        ".pypirc",
        ".claude/.credentials.json",
        ".codex/auth.json",
        ".config/gh/hosts.yml",
    ];
    for store in stores {
        let path = home.user_home().join(store);
        fs::create_dir_all(path.parent().expect("a store has a folder")).expect("a folder can be made");
        fs::write(path, "SECRET-WORD").expect("a file can be written");
    }
    fs::write(home.user_home().join("visible"), "plain").expect("a file can be written");
    let folder = home.user_home();
    let script = format!(
        "cat {0}/visible; grep -r SECRET-WORD {0} 2>/dev/null; true",
        folder.display()
    );
    let outcome = home
        .run(&["--profile", "permissive"], &["sh", "-c", &script])
        .success();
    assert_eq!(outcome.text(), "plain", "a credential store was readable");
}

#[test]
fn one_credential_store_is_shown_when_asked_for_by_name() {
    let home = Home::new();
    for store in [".ssh", ".aws"] {
        fs::create_dir(home.user_home().join(store)).expect("a folder can be made");
        fs::write(home.user_home().join(store).join("key"), store).expect("a file can be written");
    }
    let folder = home.user_home();
    let script = format!(
        "cat {0}/.ssh/key {0}/.aws/key 2>/dev/null; true",
        folder.display()
    );
    home.run(
        &["--mount-home", "--with-credential", ".ssh"],
        &["sh", "-c", &script],
    )
    .success()
    .expect_text(".ssh");
}

#[test]
fn a_mount_is_writable_or_read_only_as_asked() {
    let home = Home::new();
    home.write("data/in", "from the host");
    let source = home.project().join("data");
    let mount = |suffix: &str| format!("{}:/data{suffix}", source.display());
    let run = |mount: &str, script: &str| -> Outcome { home.run(&["--mount", mount], &["sh", "-c", script]) };

    run(&mount(""), "cat /data/in; echo changed > /data/out")
        .success()
        .expect_text("from the host");
    assert_eq!(
        fs::read_to_string(source.join("out")).expect("the sandbox wrote it"),
        "changed\n"
    );
    run(&mount(":ro"), "cat /data/in")
        .success()
        .expect_text("from the host");
    let refused = run(&mount(":ro"), "echo x > /data/new");
    assert_ne!(refused.status.code(), Some(0), "a read-only mount was written");
    assert!(!source.join("new").exists());
}

#[test]
fn what_is_written_to_the_root_is_gone_with_the_run() {
    let home = Home::new();
    home.run(&[], &["sh", "-c", "echo x > /home/sandbox/left"])
        .success();
    let outcome = home.run(&[], &["ls", "-A", "/home/sandbox"]).success();
    assert!(!outcome.text().contains("left"), "{}", outcome.text());
    assert!(!std::path::Path::new("/home/sandbox/left").exists());
}
