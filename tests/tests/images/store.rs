//! What is there: listed, shown, removed, pruned, limited and pinned.

use agentkernel_tests::{
    cli::{Home, find, marker, mentions, sleepers, wait_until},
    images::{Compression, Image, Layer},
};
use serde_json::{Value, json};

use crate::{
    pull::noise,
    setting::{Setting, content, plain, store},
};

/// An image with so many bytes of its own.
fn heavy(bytes: usize, seed: u64) -> Option<Image> {
    let layer = Layer::new().file("noise", 0o644, noise(bytes, seed));
    Some(Image::busybox()?.layer(layer, Compression::None))
}

fn images(home: &Home) -> Value {
    home.call(["image", "list", "--json"]).success().json()
}

#[test]
fn a_list_has_names_sizes_and_times() {
    let (Some(setting), Some(image)) = (Setting::new(), heavy(1 << 20, 1)) else {
        return;
    };
    let name = setting.pulled("team/tool:1", &image);
    let list = images(&setting.home);
    assert!(mentions(&list, &name) && mentions(&list, &image.id()), "{list}");
    let bytes = find(&list, "bytes").and_then(Value::as_u64).expect("a size");
    assert!(bytes > 1 << 20, "{list}");
    for time in ["created_at_ms", "used_at_ms"] {
        assert!(find(&list, time).is_some_and(Value::is_u64), "{time}: {list}");
    }
    let table = setting.home.call(["image", "list"]).success().text();
    assert!(table.contains("team/tool"), "{table}");
    let names = setting.home.call(["image", "list", "-q"]).success().text();
    assert_eq!(names, format!("{name}\n"));
}

#[test]
fn an_image_is_shown_with_its_configuration() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let image = image
        .set("Entrypoint", json!(["/bin/echo"]))
        .set("Labels", json!({ "org.example.key": "some value" }));
    let name = setting.pulled("team/tool:1", &image);
    let shown = setting.home.call(["image", "inspect", &name]).success().json();
    assert!(
        mentions(&shown, &image.id()) && mentions(&shown, "some value"),
        "{shown}"
    );
    let prefix = &image.id()["sha256:".len()..][..12];
    setting.home.call(["image", "inspect", prefix]).success();
    setting
        .home
        .call(["image", "inspect", "no/such"])
        .refused("no/such");
}

#[test]
fn a_removed_image_takes_its_own_layers_and_no_others() {
    let (Some(setting), Some(base)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let one = base
        .clone()
        .layer(Layer::new().file("one", 0o644, "one"), Compression::Gzip);
    let two = base.layer(Layer::new().file("two", 0o644, "two"), Compression::Gzip);
    let (one, two) = (
        setting.pulled("team/one:1", &one),
        setting.pulled("team/two:1", &two),
    );
    let with_both = content(&setting.home).len();
    setting.home.call(["image", "remove", &one]).success();
    assert!(content(&setting.home).len() < with_both, "nothing was removed");
    setting
        .home
        .call(["run", "--pull", "never", "--image", &one, "true"])
        .refused(&one);
    setting.run(&two, &["cat", "/two"]).success().expect_text("two");
    setting.home.call(["image", "remove", &two]).success();
    assert_eq!(
        content(&setting.home).len(),
        0,
        "{:?}",
        content(&setting.home).keys()
    );
    setting.home.call(["image", "remove", &two]).refused(&two);
}

#[test]
fn an_image_with_two_names_goes_with_the_last_one() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let (one, two) = (
        setting.pulled("team/one:1", &image),
        setting.pulled("team/two:1", &image),
    );
    setting.home.call(["image", "remove", &one]).success();
    setting
        .run(&two, &["echo", "there"])
        .success()
        .expect_text("there\n");
    setting.home.call(["image", "remove", &two]).success();
    assert!(!mentions(&images(&setting.home), &image.id()));
}

#[test]
fn an_image_in_use_is_not_removed() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let name = setting.pulled("team/tool:1", &image);
    let marker = marker();
    let mut child = setting.home.spawn(["run", "--image", &name, "sleep", &marker]);
    let soon = std::time::Duration::from_secs(20);
    wait_until("the sleeper is there", soon, || !sleepers(&marker).is_empty());
    setting.home.call(["image", "remove", &name]).refused("use");
    setting.home.call(["image", "prune", "--all"]).success();
    setting
        .run(&name, &["echo", "there"])
        .success()
        .expect_text("there\n");
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child can be waited for");
    wait_until("the image is free", soon, || {
        setting.home.call(["image", "remove", &name]).status.success()
    });
}

#[test]
fn prune_removes_what_has_no_name_and_all_when_asked() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let old = image.clone().set("Cmd", json!(["echo", "old"]));
    let name = setting.pulled("team/tool:1", &old);
    setting.registry.push("team/tool:1", &image);
    setting.pull(&name).success();
    assert!(
        mentions(&images(&setting.home), &old.id()),
        "the old one is there without a name"
    );
    setting.home.call(["image", "prune"]).success();
    let list = images(&setting.home);
    assert!(
        !mentions(&list, &old.id()) && mentions(&list, &image.id()),
        "{list}"
    );
    setting.home.call(["image", "prune", "--all"]).success();
    assert!(!mentions(&images(&setting.home), &image.id()));
    assert_eq!(content(&setting.home).len(), 0);
}

#[test]
fn above_the_limit_the_least_recently_used_goes() {
    let Some(setting) = Setting::new() else {
        return;
    };
    let settings = format!("[images]\nmax_size = \"7m\"\n{}", plain(&setting.registry.host()));
    let Some(images_of) = (1..=3)
        .map(|seed| heavy(2 << 20, seed))
        .collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let names: Vec<String> = (1..)
        .zip(&images_of[..2])
        .map(|(number, image)| setting.pulled(&format!("team/tool:{number}"), image))
        .collect();
    // The first one is used last.
    setting.run(&names[0], &["true"]).success();
    setting.home.write_user_settings(&settings);
    let third = setting.pulled("team/tool:3", &images_of[2]);
    let list = images(&setting.home);
    assert!(
        !mentions(&list, &names[1]),
        "the least recently used is still there: {list}"
    );
    assert!(mentions(&list, &names[0]) && mentions(&list, &third), "{list}");
}

#[test]
fn a_lock_pins_what_a_name_means() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let old = image.clone().set("Cmd", json!(["echo", "old"]));
    let digest = setting.registry.push("team/tool:1", &old);
    let name = setting.registry.name("team/tool:1");
    setting.home.write(
        "agentkernel.toml",
        format!("[sandbox]\nbase_image = \"{name}\"\n"),
    );
    setting.home.call(["image", "lock"]).success();
    let project = setting.home.project();
    let pinned = std::fs::read_dir(project)
        .expect("own folder")
        .flatten()
        .any(|file| std::fs::read_to_string(file.path()).is_ok_and(|text| text.contains(&digest)));
    assert!(pinned, "no file of the project has {digest}");
    setting
        .registry
        .push("team/tool:1", &image.set("Cmd", json!(["echo", "new"])));
    setting
        .home
        .call(["run", "--pull", "always"])
        .success()
        .expect_text("old\n");
}

#[test]
fn the_store_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    setting.pulled("team/tool:1", &image);
    let mode = std::fs::metadata(store(&setting.home))
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}
