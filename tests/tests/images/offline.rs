//! Without a registry: a detected image gives way to the host's programs and says so, an explicit one never does.

use agentkernel_tests::{
    images::Image,
    registry::{Answer, Stub, refused_port},
};

use crate::setting::{Setting, plain};

/// Docker Hub is a port on which nobody listens.
fn offline() -> Option<Setting> {
    let setting = Setting::new()?;
    let host = refused_port().to_string();
    let settings = format!(
        "[registries.\"docker.io\"]\nmirrors = [\"{host}\"]\n{}",
        plain(&host)
    );
    setting.home.write_user_settings(&settings);
    Some(setting)
}

#[test]
fn a_detected_image_gives_way_to_the_host_with_a_notice() {
    let Some(setting) = offline() else {
        return;
    };
    let run = || {
        let arguments = ["run", "python3", "-c", "print(6*7)"];
        setting
            .home
            .call(arguments)
            .success()
            .expect_text("42\n")
            .errors()
    };
    let first = run();
    let notice = first.lines().last().unwrap_or_default();
    assert!(
        notice.contains("python:") && notice.contains("host"),
        "no notice: {first:?}"
    );
    // From now on nothing is tried, and only the notice is left.
    assert_eq!(run().trim_end(), notice);
}

#[test]
fn an_explicit_image_does_not() {
    let Some(setting) = offline() else {
        return;
    };
    let explicit = [
        "run",
        "--image",
        "python:3.12-alpine",
        "python3",
        "-c",
        "print(6*7)",
    ];
    let outcome = setting.home.call(explicit).refused("python:3.12-alpine");
    assert_eq!(outcome.text(), "");
}

#[test]
fn a_registry_that_was_out_of_reach_is_not_asked_again_at_once() {
    let Some(setting) = Setting::new() else {
        return;
    };
    let stub = Stub::new(|_| Answer::new("503 Service Unavailable").header("Retry-After", "0"));
    let settings = format!(
        "[registries.\"docker.io\"]\nmirrors = [\"{}\"]\n{}",
        stub.host(),
        plain(&stub.host())
    );
    setting.home.write_user_settings(&settings);
    let detected = ["run", "python3", "-c", "print(6*7)"];
    setting.home.call(detected).success().expect_text("42\n");
    let asked = stub.asked().len();
    assert!(asked > 0, "it was never asked");
    for _ in 0..3 {
        setting.home.call(detected).success().expect_text("42\n");
    }
    assert_eq!(stub.asked().len(), asked);
}

#[test]
fn a_detected_image_that_is_there_needs_no_registry() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    setting.mirror_docker_hub();
    setting.registry.push("library/bash:5", &image);
    setting.pull("bash:5").success();
    let home = setting.home;
    drop(setting.registry);
    // There is no bash in it: the host's would have answered.
    let outcome = home.call(["run", "bash", "-c", "echo host"]);
    assert_eq!((outcome.status.code(), outcome.text().as_str()), (Some(127), ""));
}
