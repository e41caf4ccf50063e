//! What becomes of a sandbox's network when a process of ours dies.

use std::{fs, time::Duration};

use agentkernel_tests::cli::wait_until;
use rustix::process::{Pid, Signal, kill_process};

use crate::{Place, fetch};

const NOT: i32 = 7;
const SOON: Duration = Duration::from_secs(30);

/// The processes that carry networks of this installation's sandboxes.
fn gateways(name: &str) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("there is a /proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        if words.len() >= 3 && words[1] == b"carry-network" && words[2] == name.as_bytes() {
            found.push(pid);
        }
    }
    found
}

fn kill(pid: i32) {
    let pid = Pid::from_raw(pid).expect("a process has a number");
    kill_process(pid, Signal::KILL).expect("it is ours");
}

#[test]
fn a_gateway_that_dies_cuts_the_sandbox_off_and_a_restart_mends_it() {
    let Some(place) = Place::new() else { return };
    let (home, url) = (&place.home, "http://example.org/");
    let name = "cut-off-by-death";
    place.create(name, &["--network", "open"]);
    home.exec(name, &fetch(url)).success();
    let before = place.internet.packets();
    let [gateway] = gateways(name)[..] else {
        panic!("one process carries it")
    };
    kill(gateway);
    wait_until("it has gone", SOON, || gateways(name).is_empty());
    home.exec(name, &fetch(url)).expect_code(NOT);
    home.exec(name, &fetch("http://93.184.215.14/")).expect_code(NOT);
    assert_eq!(place.internet.packets(), before, "something has left the sandbox");
    let outcome = home
        .call(["policy", "allow", name, "example.org"])
        .expect_code(125);
    assert!(
        outcome.errors().contains("stop and start"),
        "{}",
        outcome.errors()
    );
    home.call(["restart", name]).success();
    home.exec(name, &fetch(url)).success();
}

#[test]
fn no_gateway_outlives_its_sandbox() {
    let Some(place) = Place::new() else { return };
    let name = "outlived-by-nobody";
    place.create(name, &["--network", "public"]);
    assert_eq!(gateways(name).len(), 1);
    place.home.call(["stop", name]).success();
    assert_eq!(gateways(name), [0; 0]);
    place.home.call(["start", name]).success();
    assert_eq!(gateways(name).len(), 1);
    place.home.call(["remove", "-f", name]).success();
    wait_until("it has gone", SOON, || gateways(name).is_empty());
    let sockets = fs::read_dir(place.home.state().join("run")).map_or(0, |entries| {
        entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|end| end == "sock"))
            .count()
    });
    assert_eq!(sockets, 0);
}

#[test]
fn a_gateway_has_given_up_what_it_does_not_need() {
    let Some(place) = Place::new() else { return };
    let name = "without-privileges";
    place.create(name, &["--network", "public", "-p", "81:80"]);
    let [gateway] = gateways(name)[..] else {
        panic!("one process carries it")
    };
    for task in fs::read_dir(format!("/proc/{gateway}/task"))
        .expect("it runs")
        .flatten()
    {
        let status = fs::read_to_string(task.path().join("status")).expect("it runs");
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .map(str::trim)
        };
        // Nothing but CAP_NET_BIND_SERVICE.
        assert_eq!(field("CapEff:"), Some("0000000000000400"), "{status}");
        assert_eq!(field("CapPrm:"), Some("0000000000000400"), "{status}");
        assert_eq!(field("NoNewPrivs:"), Some("1"), "{status}");
    }
    place.home.call(["port", "publish", name, "82:80"]).success();
}

#[test]
fn the_verb_that_nobody_types_does_nothing() {
    let Some(place) = Place::new() else { return };
    place.home.call(["carry-network"]).expect_code(2);
}
