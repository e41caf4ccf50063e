//! From a registry into the store, and what a pulled image is.

use agentkernel_tests::{
    images::{Compression, Image, Layer},
    registry::{Answer, Gate, Stub},
};
use serde_json::json;

use crate::setting::{Setting, plain, store, tree, unfinished};

/// Bytes that no compression makes smaller.
pub fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..bytes)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

#[test]
fn an_image_is_pulled_and_run() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let image = image.set("Cmd", json!(["echo", "from the image"]));
    let name = setting.pulled("team/tool:1", &image);
    setting.run(&name, &[]).success().expect_text("from the image\n");
    setting
        .run(&name, &["echo", "mine"])
        .success()
        .expect_text("mine\n");
    assert_eq!(unfinished(&setting.home), [""; 0]);
}

#[test]
fn an_ordinary_user_pulls_and_runs() {
    let (Some(setting), Some(image)) = (Setting::rootless(), Image::busybox()) else {
        return;
    };
    let name = setting.pulled("team/tool:1", &image);
    setting
        .run(&name, &["sh", "-c", "id -u; cat /etc/group | head -n 1"])
        .success()
        .expect_text("0\nroot:x:0:\n");
}

#[test]
fn a_run_fetches_the_image_that_is_missing() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    setting.registry.push("team/tool:1", &image);
    let name = setting.registry.name("team/tool:1");
    setting
        .run(&name, &["echo", "ran"])
        .success()
        .expect_text("ran\n");
}

#[test]
fn a_short_name_is_one_of_docker_hub_and_its_mirror_is_asked() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    setting.mirror_docker_hub();
    setting.registry.push("library/tool:latest", &image);
    setting.pull("tool").success();
    for name in ["tool", "tool:latest", "docker.io/library/tool", "library/tool"] {
        setting
            .run(name, &["echo", name])
            .success()
            .expect_text(&format!("{name}\n"));
    }
}

#[test]
fn a_mirror_that_fails_is_passed_over() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    setting.registry.push("library/tool:latest", &image);
    let broken = Stub::new(|_| Answer::new("500 Internal Server Error"));
    let (broken, dead) = (
        broken.host(),
        agentkernel_tests::registry::refused_port().to_string(),
    );
    let host = setting.registry.host();
    setting.home.write_user_settings(&format!(
        "[registries.\"docker.io\"]\nmirrors = [\"{dead}\", \"{broken}\", \"{host}\"]\n{}{}{}",
        plain(&dead),
        plain(&broken),
        plain(&host)
    ));
    setting.pull("tool").success();
}

#[test]
fn a_digest_names_one_image_for_ever() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let old = setting
        .registry
        .push("team/tool:1", &image.clone().set("Cmd", json!(["echo", "old"])));
    setting
        .registry
        .push("team/tool:1", &image.set("Cmd", json!(["echo", "new"])));
    let repository = setting.registry.name("team/tool");
    setting
        .run(&format!("{repository}@{old}"), &[])
        .success()
        .expect_text("old\n");
    setting
        .run(&format!("{repository}:1@{old}"), &[])
        .success()
        .expect_text("old\n");
    let other = format!("sha256:{}", "0".repeat(64));
    let unknown = format!("{repository}@{other}");
    setting.pull(&unknown).refused(&other[..19]);
}

#[test]
fn of_several_platforms_ours_is_taken() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let ours = image.clone().set("Cmd", json!(["echo", "ours"]));
    let foreign = |architecture, variant| {
        let layer = Layer::new().file("bin/echo", 0o755, "not for this machine");
        Image::default()
            .layer(layer, Compression::Gzip)
            .platform(architecture, variant)
    };
    let all = [
        foreign("riscv64", None),
        foreign("arm", Some("v7")),
        ours,
        foreign("s390x", None),
    ];
    let digest = setting.registry.push_platforms("team/many:1", &all);
    let name = setting.registry.name("team/many:1");
    setting.run(&name, &[]).success().expect_text("ours\n");
    setting
        .run(&format!("{}@{digest}", setting.registry.name("team/many")), &[])
        .success()
        .expect_text("ours\n");
    let foreign_layer = &all[0].layers[0].digest;
    assert_eq!(
        setting.registry.sent(foreign_layer),
        0,
        "another platform's layer was fetched"
    );
}

#[test]
fn without_our_platform_the_refusal_says_which_there_are() {
    let Some(setting) = Setting::new() else {
        return;
    };
    let image = Image::default().layer(Layer::new().file("a", 0o644, "a"), Compression::Gzip);
    setting
        .registry
        .push_platforms("team/foreign:1", &[image.platform("riscv64", None)]);
    let name = setting.registry.name("team/foreign:1");
    setting.pull(&name).refused("riscv64");
}

#[test]
fn layers_are_laid_over_each_other() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let first = Layer::new()
        .folder("d/", 0o755)
        .file("d/kept", 0o644, "kept")
        .file("d/gone", 0o644, "gone")
        .file("d/changed", 0o644, "old")
        .folder("opaque/", 0o755)
        .file("opaque/below", 0o644, "below")
        .folder("removed/", 0o755)
        .file("removed/file", 0o644, "")
        .file("becomes", 0o644, "a file");
    let second = Layer::new()
        .whiteout("d/gone")
        .file("d/changed", 0o644, "new")
        .folder("opaque/", 0o755)
        .opaque("opaque")
        .file("opaque/above", 0o644, "above")
        .whiteout("removed")
        .folder("becomes/", 0o755)
        .file("becomes/folder", 0o644, "")
        .hard_link("linked", "d/changed");
    let third = Layer::new().file("d/gone", 0o644, "back");
    for setting in [Some(setting), Setting::rootless()].into_iter().flatten() {
        let image = image
            .clone()
            .layer(first.clone(), Compression::Gzip)
            .layer(second.clone(), Compression::Zstd)
            .layer(third.clone(), Compression::None);
        let name = setting.pulled("team/layers:1", &image);
        let script =
            "cd /; find d opaque becomes linked removed 2>/dev/null | sort; cat d/gone d/changed linked";
        let expected =
            "becomes\nbecomes/folder\nd\nd/changed\nd/gone\nd/kept\nlinked\nopaque\nopaque/above\nbacknewnew";
        setting
            .run(&name, &["sh", "-c", script])
            .success()
            .expect_text(expected);
    }
}

#[test]
fn a_layer_that_is_there_is_not_fetched_again() {
    let (Some(setting), Some(base)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    setting.pulled("team/base:1", &base);
    let shared = base.layers[0].clone();
    assert_eq!(setting.registry.sent(&shared.digest), shared.size);
    let more = base.layer(Layer::new().file("more", 0o644, "more"), Compression::Gzip);
    let name = setting.pulled("team/more:1", &more);
    assert_eq!(setting.registry.sent(&shared.digest), shared.size);
    setting
        .run(&name, &["cat", "/more"])
        .success()
        .expect_text("more");
}

#[test]
fn a_broken_connection_goes_on_where_it_stopped() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let image = image.layer(
        Layer::new().file("noise", 0o644, noise(6 << 20, 7)),
        Compression::None,
    );
    setting.registry.push("team/large:1", &image);
    let gate = Gate::before(setting.registry.address()).cut(2 << 20, 2);
    setting.home.write_user_settings(&plain(&gate.host()));
    let name = format!("{}/team/large:1", gate.host());
    setting.pull(&name).success();
    assert_eq!(gate.cuts_left(), 0, "no connection was broken");
    let whole: u64 = image.layers.iter().map(|layer| layer.size).sum();
    assert!(
        gate.delivered() < whole + (3 << 20),
        "{} bytes for an image of {whole}: the beginning was fetched again",
        gate.delivered()
    );
    setting
        .run(&name, &["stat", "-c", "%s", "/noise"])
        .success()
        .expect_text(&format!("{}\n", 6 << 20));
}

#[test]
fn bytes_that_are_not_the_digests_are_refused() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let layer = image.layers[0].digest.clone();
    for (wrong, what) in [
        (".", "layer"),
        ("config", "configuration"),
        ("manifest", "manifest"),
    ] {
        let (image, layer) = (image.clone(), layer.clone());
        let config = image.id();
        let stub = Stub::new(move |asked| {
            let mut answer = Answer::from_image(&image, asked);
            let is_wrong = match wrong {
                "config" => asked.path.ends_with(&config),
                "manifest" => asked.path.contains("/manifests/sha256:"),
                _ => asked.path.ends_with(&layer),
            };
            if is_wrong && let Some(last) = answer.body.last_mut() {
                *last ^= 1;
            }
            answer
        });
        setting.home.write_user_settings(&plain(&stub.host()));
        let name = match what {
            "manifest" => format!("{}/team/tool@{}", stub.host(), manifest_digest()),
            _ => format!("{}/team/tool:1", stub.host()),
        };
        setting.pull(&name).refused("something else");
        assert_eq!(
            setting.home.call(["image", "list", "-q"]).success().text(),
            "",
            "{what}"
        );
        let layers = store(&setting.home).join("layers");
        assert!(
            !layers.exists() || tree(&layers).is_empty() || what == "configuration",
            "{what}"
        );
    }
}

/// Of the image that [`Image::busybox`] makes.
fn manifest_digest() -> String {
    let image = Image::busybox().expect("it was there a moment ago");
    image.manifest().manifest.digest
}

#[test]
fn a_name_that_is_none_is_refused() {
    let Some(setting) = Setting::new() else {
        return;
    };
    for name in [
        "UPPER/case",
        "a b",
        "../etc",
        "name:tag:tag",
        "name@sha256:short",
        "",
    ] {
        setting.pull(name).refused(name);
    }
}
