//! Kept sandboxes on an image.

use agentkernel_tests::{cli::mentions, images::Image};
use serde_json::json;

use crate::setting::Setting;

fn journey(setting: &Setting, image: &Image) {
    let home = &setting.home;
    let name = setting.pulled("team/tool:1", image);
    home.remember("box");
    home.call(["create", "box", "--image", &name]).success();
    let write = "echo mine > /srv/note; rm /etc/group; mkdir /made; cat /srv/note";
    home.exec("box", &["sh", "-c", write])
        .success()
        .expect_text("mine\n");
    home.call(["restart", "box"]).success();
    let read = "cat /srv/note; test -d /made && test ! -e /etc/group && echo kept";
    home.exec("box", &["sh", "-c", read])
        .success()
        .expect_text("mine\nkept\n");
    home.call(["stop", "box"]).success();
    // Stopped or not, its files are laid over the image's.
    home.call(["image", "remove", &name]).refused("box");
    home.call(["image", "prune", "--all"]).success();
    home.exec("box", &["sh", "-c", read])
        .success()
        .expect_text("mine\nkept\n");
    setting
        .run(
            &name,
            &["sh", "-c", "ls /srv/note 2>/dev/null; wc -l < /etc/group"],
        )
        .success()
        .expect_text("3\n");
    home.call(["remove", "-f", "box"]).success();
    home.call(["image", "remove", &name]).success();
}

#[test]
fn a_kept_sandbox_keeps_its_files_and_its_image() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    journey(&setting, &image);
}

#[test]
fn an_ordinary_users_kept_sandbox_too() {
    let (Some(setting), Some(image)) = (Setting::rootless(), Image::busybox()) else {
        return;
    };
    journey(&setting, &image);
}

#[test]
fn a_kept_sandbox_stays_on_the_image_that_its_name_meant() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let home = &setting.home;
    let name = setting.pulled("team/tool:1", &image.clone().set("Env", json!(["WHICH=old"])));
    home.remember("box");
    home.call(["create", "box", "--image", &name]).success();
    setting.pulled("team/tool:1", &image.set("Env", json!(["WHICH=new"])));
    home.call(["image", "prune"]).success();
    home.call(["restart", "box"]).success();
    home.exec("box", &["sh", "-c", "echo $WHICH"])
        .success()
        .expect_text("old\n");
    assert!(mentions(
        &home.call(["inspect", "--json", "box"]).success().json(),
        &name
    ));
}

#[test]
fn exec_does_not_use_the_entrypoint() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let name = setting.pulled("team/tool:1", &image.set("Entrypoint", json!(["echo", "entry"])));
    setting.home.remember("box");
    setting.home.call(["create", "box", "--image", &name]).success();
    setting
        .home
        .exec("box", &["echo", "command"])
        .success()
        .expect_text("command\n");
}
