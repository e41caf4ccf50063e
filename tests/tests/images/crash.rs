//! `kill -9` at any moment of a pull: the next one goes on, and ends with the same bytes as an undisturbed one.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use agentkernel_tests::{
    cli::Home,
    images::{Compression, Image, Layer},
};

use crate::{
    pull::noise,
    setting::{Setting, content, plain, store, unfinished},
};

const POINTS: u32 = 15;

fn image() -> Option<Image> {
    let mut image = Image::busybox()?;
    for (seed, compression) in (1..).zip([Compression::Gzip, Compression::Zstd, Compression::None]) {
        let mut layer = Layer::new().folder("many/", 0o755);
        for number in 0..200 {
            layer = layer.file(
                &format!("many/{seed}-{number}"),
                0o644,
                noise(4000, seed * 1000 + number),
            );
        }
        let layer = layer
            .file("large", 0o644, noise(2 << 20, seed))
            .whiteout("many/1-7");
        image = image.layer(layer, compression);
    }
    Some(image)
}

/// Kills it after `delay`, unless it has ended.
fn cut(home: &Home, arguments: &[&str], delay: Duration) {
    let mut child = home
        .command(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary can be started");
    let start = Instant::now();
    while start.elapsed() < delay && child.try_wait().expect("a child can be waited for").is_none() {
        std::thread::sleep(Duration::from_micros(200));
    }
    // One that has ended cannot be killed, which is as well.
    let _ = child.kill();
    child.wait().expect("a killed child can be waited for");
}

fn sweep(setting: &Setting, image: &Image, undisturbed: &Home) {
    setting.registry.push("team/tool:1", image);
    let name = setting.registry.name("team/tool:1");
    let pull = ["image", "pull", "-q", &name];
    undisturbed.write_user_settings(&plain(&setting.registry.host()));
    let start = Instant::now();
    undisturbed.call(pull).success();
    let step = start.elapsed().max(Duration::from_millis(15)) / (POINTS - 1);
    let expected = content(undisturbed);
    for point in 0..POINTS {
        let _ = std::fs::remove_dir_all(store(&setting.home));
        cut(&setting.home, &pull, step * point);
        setting.home.call(pull).success();
        let found = content(&setting.home);
        let differs = |name: &&String| found.get(*name) != expected.get(*name);
        let wrong: Vec<&String> = found.keys().chain(expected.keys()).filter(differs).collect();
        assert!(wrong.is_empty(), "point {point}: {wrong:?}");
        setting.home.call(["gc"]).success();
        assert_eq!(unfinished(&setting.home), [""; 0], "point {point}");
    }
    setting
        .run(&name, &["sh", "-c", "ls /many | wc -l"])
        .success()
        .expect_text("599\n");
}

#[test]
fn a_pull_that_is_cut_anywhere_goes_on_and_ends_the_same() {
    let (Some(setting), Some(image)) = (Setting::new(), image()) else {
        return;
    };
    sweep(&setting, &image, &Home::new().that_pulls());
}

#[test]
fn an_ordinary_users_pull_too() {
    let (Some(setting), Some(image), Some(home)) = (Setting::rootless(), image(), Home::rootless()) else {
        return;
    };
    sweep(&setting, &image, &home.that_pulls());
}

#[test]
fn what_a_cut_pull_leaves_is_collected() {
    let (Some(setting), Some(image)) = (Setting::new(), image()) else {
        return;
    };
    setting.registry.push("team/tool:1", &image);
    let name = setting.registry.name("team/tool:1");
    let gate = agentkernel_tests::registry::Gate::before(setting.registry.address()).slow(1 << 20);
    setting.home.write_user_settings(&plain(&gate.host()));
    let mut child = setting
        .home
        .spawn(["image", "pull", "-q", &format!("{}/team/tool:1", gate.host())]);
    agentkernel_tests::cli::wait_until("it is at work", Duration::from_secs(30), || {
        gate.delivered() > 1 << 20
    });
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child can be waited for");
    assert_ne!(unfinished(&setting.home), [""; 0], "nothing was under way");
    setting.home.call(["gc"]).success();
    assert_eq!(unfinished(&setting.home), [""; 0]);
    assert_eq!(setting.home.call(["image", "list", "-q"]).success().text(), "");
    let _ = name;
}
