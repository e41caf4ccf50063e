//! The same product for a user who is not root. Where these tests run as an ordinary user, all others are rootless.

use agentkernel_tests::cli::{Home, marker, sleepers, wait_until};
use std::time::Duration;

#[test]
fn an_ordinary_user_runs_and_keeps_sandboxes() {
    let home = Home::rootless().unwrap_or_default();
    home.run(&[], &["python3", "-c", "print(6*7)"])
        .success()
        .expect_text("42\n");
    home.run(&[], &["sh", "-c", "id -u; exit 3"])
        .expect_code(3)
        .expect_text("1000\n");
    home.create("box", &[]);
    home.exec("box", &["sh", "-c", "echo mine > ~/note"]).success();
    home.call(["stop", "box"]).success();
    home.exec("box", &["cat", "/home/sandbox/note"])
        .success()
        .expect_text("mine\n");
}

#[test]
fn an_ordinary_users_profiles_differ_as_documented() {
    let home = Home::rootless().unwrap_or_default();
    home.run(
        &["--profile", "restrictive"],
        &["sh", "-c", "(: > ~/x) 2>/dev/null; : > /tmp/x && ls ~"],
    )
    .success()
    .expect_text("");
    home.run(&["--no-network"], &["sh", "-c", "grep -c : /proc/net/dev"])
        .success()
        .expect_text("1\n");
    home.write("data", "text");
    let path = home.project().join("data");
    home.run(&["--mount-cwd"], &["cat", path.to_str().expect("UTF-8")])
        .success()
        .expect_text("text");
}

#[test]
fn nothing_outlives_an_ordinary_users_cli() {
    let home = Home::rootless().unwrap_or_default();
    let marker = marker();
    let script = format!("setsid sleep {marker} & sleep {marker}");
    let mut child = home.spawn(["run", "--image", "host", "--", "sh", "-c", &script]);
    wait_until("both sleep", Duration::from_secs(20), || {
        sleepers(&marker).len() == 2
    });
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child can be waited for");
    wait_until("nothing is left", Duration::from_secs(20), || {
        sleepers(&marker).is_empty()
    });
}
