//! When a registry is asked: `--pull always`, `missing`, `never`.

use agentkernel_tests::images::Image;
use serde_json::json;

use crate::setting::Setting;

fn saying(image: &Image, word: &str) -> Image {
    image.clone().set("Cmd", json!(["echo", word]))
}

#[test]
fn a_missing_image_is_fetched_once() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    setting.registry.push("team/tool:1", &saying(&image, "old"));
    let name = setting.registry.name("team/tool:1");
    let run = |policy| setting.home.call(["run", "--pull", policy, "--image", &name]);
    run("missing").success().expect_text("old\n");
    let asked = setting.registry.requests().len();
    setting.registry.push("team/tool:1", &saying(&image, "new"));
    let pushed = setting.registry.requests().len();
    run("missing").success().expect_text("old\n");
    setting.run(&name, &[]).success().expect_text("old\n");
    assert_eq!(
        setting.registry.requests().len(),
        pushed,
        "it was asked for what is there"
    );
    assert!(asked > 0);
}

#[test]
fn always_takes_what_the_registry_has_now() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let name = setting.pulled("team/tool:1", &saying(&image, "old"));
    setting.registry.push("team/tool:1", &saying(&image, "new"));
    let always = ["run", "--pull", "always", "--image", &name];
    setting.home.call(always).success().expect_text("new\n");
    // From now on the name means the new one.
    setting.run(&name, &[]).success().expect_text("new\n");
}

#[test]
fn always_without_a_registry_is_refused() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let name = setting.pulled("team/tool:1", &image);
    let host = setting.registry.host();
    let home = setting.home;
    drop(setting.registry);
    home.call(["run", "--pull", "always", "--image", &name])
        .refused(&host);
    home.call(["run", "--image", &name, "echo", "ran"])
        .success()
        .expect_text("ran\n");
}

#[test]
fn never_asks_nobody() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    setting.registry.push("team/tool:1", &image);
    let name = setting.registry.name("team/tool:1");
    let before = setting.registry.requests().len();
    let never = ["run", "--pull", "never", "--image", &name, "echo", "ran"];
    setting.home.call(never).refused(&name);
    assert_eq!(setting.registry.requests().len(), before);
    setting.pull(&name).success();
    setting.home.call(never).success().expect_text("ran\n");
}

#[test]
fn the_policy_of_the_settings_and_of_the_environment_is_obeyed() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    setting.registry.push("team/tool:1", &image);
    let name = setting.registry.name("team/tool:1");
    let settings = format!(
        "[images]\npull = \"never\"\n{}",
        crate::setting::plain(&setting.registry.host())
    );
    setting.home.write_user_settings(&settings);
    setting.run(&name, &["true"]).refused(&name);
    let missing = ["run", "--pull", "missing", "--image", &name, "true"];
    setting.home.call(missing).success();
}

#[test]
fn a_policy_that_does_not_exist_is_named() {
    let Some(setting) = Setting::new() else {
        return;
    };
    let sometimes = ["run", "--pull", "sometimes", "--image", "x", "true"];
    setting.home.call(sometimes).refused("sometimes");
}
