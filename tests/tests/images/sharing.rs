//! Several processes and one store.

use agentkernel_tests::{
    cli::{Home, PATIENCE, wait_for},
    images::{Compression, Image, Layer},
    registry::Gate,
};

use crate::{
    pull::noise,
    setting::{Setting, content, plain, unfinished},
};

/// Three layers that take about a second each.
fn slow() -> Option<(Setting, Gate, Image)> {
    let setting = Setting::new()?;
    let mut image = Image::busybox()?;
    for seed in 1..=3 {
        let layer = Layer::new().file(&format!("noise{seed}"), 0o644, noise(1 << 20, seed));
        image = image.layer(layer, Compression::Gzip);
    }
    setting.registry.push("team/slow:1", &image);
    let gate = Gate::before(setting.registry.address()).slow(1 << 20);
    setting.home.write_user_settings(&plain(&gate.host()));
    Some((setting, gate, image))
}

#[track_caller]
fn each_was_fetched_once(setting: &Setting, image: &Image) {
    for layer in &image.layers {
        assert_eq!(
            setting.registry.sent(&layer.digest),
            layer.size,
            "{}",
            layer.digest
        );
    }
}

fn at_once(home: &Home, commands: &[Vec<&str>]) -> Vec<agentkernel_tests::cli::Outcome> {
    let children: Vec<_> = commands.iter().map(|arguments| home.spawn(arguments)).collect();
    children
        .into_iter()
        .map(|child| wait_for(child, PATIENCE))
        .collect()
}

#[test]
fn two_processes_fetch_each_layer_once() {
    let Some((setting, gate, image)) = slow() else {
        return;
    };
    let name = format!("{}/team/slow:1", gate.host());
    for outcome in at_once(
        &setting.home,
        &[vec!["image", "pull", &name], vec!["image", "pull", &name]],
    ) {
        outcome.success();
    }
    each_was_fetched_once(&setting, &image);
    setting
        .run(&name, &["echo", "ran"])
        .success()
        .expect_text("ran\n");
}

#[test]
fn five_runs_at_once_share_one_pull() {
    let Some((setting, gate, image)) = slow() else {
        return;
    };
    let name = format!("{}/team/slow:1", gate.host());
    let run = vec!["run", "--image", &name, "echo", "ran"];
    for outcome in at_once(
        &setting.home,
        &[run.clone(), run.clone(), run.clone(), run.clone(), run],
    ) {
        outcome.success().expect_text("ran\n");
    }
    each_was_fetched_once(&setting, &image);
}

#[test]
fn one_that_waits_takes_over_from_one_that_dies() {
    let Some((setting, gate, _image)) = slow() else {
        return;
    };
    let name = format!("{}/team/slow:1", gate.host());
    let mut first = setting.home.spawn(["image", "pull", &name]);
    agentkernel_tests::cli::wait_until("the first one is at work", PATIENCE, || {
        gate.delivered() > 500_000
    });
    let second = setting.home.spawn(["image", "pull", &name]);
    first.kill().expect("a child can be killed");
    first.wait().expect("a killed child can be waited for");
    wait_for(second, PATIENCE).success();
    setting
        .run(&name, &["echo", "ran"])
        .success()
        .expect_text("ran\n");
    assert_eq!(unfinished(&setting.home), [""; 0]);
}

#[test]
fn different_images_with_common_layers_at_once() {
    let Some((setting, gate, image)) = slow() else {
        return;
    };
    let names: Vec<String> = (1..=3)
        .map(|number| {
            let layer = Layer::new().file("own", 0o644, format!("{number}"));
            let own = image.clone().layer(layer, Compression::Gzip);
            setting.registry.push(&format!("team/own:{number}"), &own);
            format!("{}/team/own:{number}", gate.host())
        })
        .collect();
    let commands: Vec<Vec<&str>> = names
        .iter()
        .map(|name| vec!["run", "--image", name, "cat", "/own"])
        .collect();
    for (number, outcome) in (1..).zip(at_once(&setting.home, &commands)) {
        outcome.success().expect_text(&format!("{number}"));
    }
    each_was_fetched_once(&setting, &image);
    assert!(!content(&setting.home).is_empty());
}
