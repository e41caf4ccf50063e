//! Are the images and registries of the tests honest? skopeo, which knows nothing of us, judges.
//!
//! Where these tests fail, those of images say nothing.

use std::{path::Path, process::Command};

use agentkernel_tests::{
    have,
    images::{Compression, Image, Layer, archive},
    registry::{Answer, Authority, Gate, PASSWORD, Registry, Stub, USER},
};

fn image() -> Option<Image> {
    let layer = Layer::new()
        .file("file", 0o644, "content")
        .hard_link("again", "file");
    let image = Image::busybox()?.layer(layer, Compression::Gzip);
    have(&["skopeo"]).then_some(image)
}

/// Copies everything into a folder, which compares every digest.
#[track_caller]
fn is_taken(flags: &[&str], from: &str) {
    let (status, errors) = copied(flags, from);
    assert!(status, "{from}: {errors}");
}

fn copied(flags: &[&str], from: &str) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let output = Command::new("skopeo")
        .args(["--insecure-policy", "copy", "-q"])
        .args(flags)
        .args([from, &format!("dir:{}", folder.path().display())])
        .env("HOME", folder.path())
        .output()
        .expect("skopeo can be started");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), errors)
}

const PLAIN: &[&str] = &["--src-tls-verify=false"];

#[test]
fn a_pushed_image_is_one_by_every_way() {
    let (Some(registry), Some(image)) = (Registry::open(), image()) else {
        return;
    };
    registry.push("team/tool:1", &image);
    is_taken(PLAIN, &format!("docker://{}", registry.name("team/tool:1")));
    let gate = Gate::before(registry.address()).slow(8 << 20);
    is_taken(PLAIN, &format!("docker://{}/team/tool:1", gate.host()));
    assert!(gate.delivered() > image.layers[0].size);
    let stub = Stub::new(move |asked| Answer::from_image(&image, asked));
    is_taken(PLAIN, &format!("docker://{}/team/tool:1", stub.host()));
}

#[test]
fn an_index_has_an_image_for_this_machine() {
    let (Some(registry), Some(image)) = (Registry::open(), image()) else {
        return;
    };
    let foreign = image.clone().platform("riscv64", None);
    registry.push_platforms("team/many:1", &[foreign, image]);
    is_taken(PLAIN, &format!("docker://{}", registry.name("team/many:1")));
}

#[test]
fn the_guarded_registry_wants_its_password() {
    let (Some(registry), Some(image)) = (Registry::open(), image()) else {
        return;
    };
    registry.push("team/tool:1", &image);
    let guarded = registry.with_password();
    let name = format!("docker://{}", guarded.name("team/tool:1"));
    assert!(!copied(PLAIN, &name).0, "nobody was asked for a password");
    let credentials = format!("--src-creds={USER}:{PASSWORD}");
    is_taken(&["--src-tls-verify=false", &credentials], &name);
}

#[test]
fn the_encrypted_registry_convinces_by_its_authority() {
    let (Some(registry), Some(image), Some(authority)) = (Registry::open(), image(), Authority::new()) else {
        return;
    };
    registry.push("team/tool:1", &image);
    let encrypted = registry.with_tls(&authority);
    let name = format!("docker://{}", encrypted.name("team/tool:1"));
    assert!(
        !copied(&[], &name).0,
        "an authority that nobody named was trusted"
    );
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    std::fs::copy(authority.root(), folder.path().join("ca.crt")).expect("a file can be copied");
    is_taken(&["--src-cert-dir", &folder.path().display().to_string()], &name);
}

#[test]
fn archives_and_layouts_are_what_they_say() {
    let Some(image) = image() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(path(name), bytes).expect("own folder");
    write("docker.tar", archive::docker(&[(&image, &["team/tool:1"])]));
    is_taken(&[], &format!("docker-archive:{}:team/tool:1", path("docker.tar")));
    write("oci.tar", archive::oci(&image, Some("1")));
    is_taken(&[], &format!("oci-archive:{}:1", path("oci.tar")));
    archive::write_layout(&image, Some("1"), Path::new(&path("layout")));
    is_taken(&[], &format!("oci:{}:1", path("layout")));
}

#[test]
fn a_gate_breaks_connections() {
    let (Some(registry), Some(image)) = (Registry::open(), image()) else {
        return;
    };
    registry.push("team/tool:1", &image);
    let gate = Gate::before(registry.address()).cut(100_000, 1000);
    let name = format!("docker://{}/team/tool:1", gate.host());
    assert!(!copied(PLAIN, &name).0, "everything came through");
    assert!(gate.cuts_left() < 1000);
}
