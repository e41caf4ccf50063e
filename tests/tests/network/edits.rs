//! A policy that changes while the sandbox runs, and what is told of it.

use std::time::Duration;

use agentkernel_tests::cli::wait_until;

use crate::{Place, fetch};

const NOT: i32 = 7;
const SOON: Duration = Duration::from_secs(30);

#[test]
fn an_edit_is_in_force_when_it_is_acknowledged_and_stays() {
    let Some(place) = Place::new() else { return };
    place.create("box", &["--network", "allowlist"]);
    let (home, url) = (&place.home, "http://example.org/");
    home.exec("box", &fetch(url)).expect_code(NOT);
    home.call(["policy", "allow", "box", "example.org"]).success();
    home.exec("box", &fetch(url)).success();
    home.call(["restart", "box"]).success();
    home.exec("box", &fetch(url)).success();
    home.call(["policy", "deny", "box", "*.org", "example.org"])
        .success();
    home.exec("box", &fetch(url)).expect_code(NOT);
    home.call(["policy", "set", "box", "--mode", "public"]).success();
    home.exec("box", &fetch("http://other.test/")).success();
    let shown = home.call(["policy", "show", "box", "--json"]).success().json();
    assert_eq!(
        (&shown["mode"], &shown["running"]),
        (&"public".into(), &true.into()),
        "{shown}"
    );
    assert_eq!(shown["version"], 4, "{shown}");
}

#[test]
fn a_denial_cuts_what_is_open() {
    let Some(place) = Place::new() else { return };
    place.create("box", &["--network", "public"]);
    let script = "import socket\nc = socket.create_connection(('example.org', 22), timeout=20)\nprint('open', \
                  flush=True)\nimport time\nwhile True:\n  c.sendall(b'x')\n  time.sleep(0.05)\n";
    let mut child = place.home.spawn(["exec", "box", "--", "python3", "-c", script]);
    let log = |place: &Place| {
        let events = place
            .home
            .call(["why", "box", "--all", "--last", "100", "--json"])
            .success()
            .json();
        events["events"].as_array().cloned().unwrap_or_default()
    };
    wait_until("the connection is open", SOON, || {
        log(&place).iter().any(|event| event["event"] == "opened")
    });
    place
        .home
        .call(["policy", "deny", "box", "example.org"])
        .success();
    wait_until("the command ends with its connection", SOON, || {
        child.try_wait().expect("a child can be asked").is_some()
    });
    let log = log(&place);
    assert!(
        log.iter()
            .any(|event| event["event"] == "denied" && event["attempt"] == "existing"),
        "{log:?}"
    );
}

#[test]
fn a_temporary_rule_ends_by_itself() {
    let Some(place) = Place::new() else { return };
    place.create("box", &["--network", "allowlist"]);
    let reached = || {
        place
            .home
            .exec("box", &fetch("http://example.org/"))
            .status
            .success()
    };
    place
        .home
        .call(["policy", "allow", "box", "example.org", "--for", "3s"])
        .success();
    let shown = place.home.call(["policy", "show", "box"]).success().text();
    assert!(shown.contains("allow example.org (for"), "{shown}");
    wait_until("the rule has ended", SOON, || !reached());
    let shown = place.home.call(["policy", "show", "box"]).success().text();
    assert!(!shown.contains("example.org"), "{shown}");
}

#[test]
fn why_tells_what_was_refused_and_what_would_allow_it() {
    let Some(place) = Place::new() else { return };
    place.create("box", &["--allow", "example.org"]);
    place
        .home
        .call(["why", "box"])
        .success()
        .expect_text("nothing was refused\n");
    for url in [
        "http://other.test/",
        "http://198.41.0.4:8080/",
        "http://169.254.169.254/",
    ] {
        place.home.exec("box", &fetch(url)).expect_code(NOT);
    }
    let told = place.home.call(["why", "box"]).success().text();
    for part in [
        "other.test was refused by mode allowlist",
        "agentkernel policy allow box other.test",
        "198.41.0.4:8080",
        "cloud metadata",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
    // The command that it says does it.
    let events = place.home.call(["why", "box", "--json"]).success().json();
    let remedy = events["events"][0]["remedy"]
        .as_str()
        .expect("there is a way")
        .to_owned();
    place.home.call(remedy.split(' ').skip(1)).success();
    // The name has an address now. Which port is meant was not known before.
    place
        .home
        .exec("box", &fetch("http://other.test/"))
        .expect_code(NOT);
    let events = place
        .home
        .call(["why", "box", "--last", "1", "--json"])
        .success()
        .json();
    let remedy = events["events"][0]["remedy"]
        .as_str()
        .expect("there is a way")
        .to_owned();
    assert_eq!(remedy, "agentkernel policy allow box other.test:80");
    place.home.call(remedy.split(' ').skip(1)).success();
    place.home.exec("box", &fetch("http://other.test/")).success();
    // Also when it does not run any more.
    place.home.call(["stop", "box"]).success();
    let later = place.home.call(["why", "box", "--last", "2"]).success().text();
    assert!(later.contains("169.254.169.254"), "{later}");
}

#[test]
fn what_cannot_be_changed_is_refused_by_name() {
    let Some(place) = Place::new() else { return };
    place.create("none", &["--network", "none"]);
    place.create("host", &["--network", "host"]);
    for name in ["none", "host"] {
        let outcome = place
            .home
            .call(["policy", "allow", name, "example.org"])
            .expect_code(125);
        assert!(outcome.errors().contains("policy set"), "{}", outcome.errors());
    }
    place.create("box", &["--network", "public"]);
    let outcome = place
        .home
        .call(["policy", "set", "box", "--mode", "host"])
        .expect_code(125);
    assert!(
        outcome.errors().contains("agentkernel stop box"),
        "{}",
        outcome.errors()
    );
    place.home.call(["stop", "box"]).success();
    place
        .home
        .call(["policy", "set", "box", "--mode", "none"])
        .success();
    place
        .home
        .exec("box", &fetch("http://example.org/"))
        .expect_code(NOT);
    let outcome = place
        .home
        .call(["policy", "allow", "box", "preset:nmp"])
        .expect_code(125);
    assert!(outcome.errors().contains("box"), "{}", outcome.errors());
}
