//! TLS: whom a registry's certificate convinces.

use agentkernel_tests::{
    cli::Home,
    images::Image,
    registry::{Authority, Registry},
};

use crate::setting::{Setting, plain};

/// A registry that speaks TLS, and the name of an image in it.
fn encrypted() -> Option<(Home, Registry, Authority, String)> {
    let (setting, image, authority) = (Setting::new()?, Image::busybox()?, Authority::new()?);
    setting.registry.push("team/tool:1", &image);
    let encrypted = setting.registry.with_tls(&authority);
    let name = encrypted.name("team/tool:1");
    setting.home.write_user_settings("");
    Some((setting.home, encrypted, authority, name))
}

#[test]
fn an_authority_that_is_named_is_trusted() {
    let Some((home, registry, authority, name)) = encrypted() else {
        return;
    };
    let (host, root) = (registry.host(), authority.root());
    home.write_user_settings(&format!("[registries.\"{host}\"]\nca = \"{}\"\n", root.display()));
    home.call(["image", "pull", &name]).success();
    home.call(["run", "--image", &name, "echo", "ran"])
        .success()
        .expect_text("ran\n");
}

#[test]
fn an_authority_that_nobody_named_is_not() {
    let Some((home, registry, _authority, name)) = encrypted() else {
        return;
    };
    let outcome = home.call(["image", "pull", &name]).refused(&registry.host());
    let errors = outcome.errors();
    assert!(
        errors.contains("certificate") && errors.contains("ca ="),
        "{errors}"
    );
}

#[test]
fn another_authority_does_not_help() {
    let (Some((home, registry, _authority, name)), Some(other)) = (encrypted(), Authority::new()) else {
        return;
    };
    let (host, root) = (registry.host(), other.root());
    home.write_user_settings(&format!("[registries.\"{host}\"]\nca = \"{}\"\n", root.display()));
    home.call(["image", "pull", &name]).refused("certificate");
}

#[test]
fn plain_http_is_never_spoken_unasked() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    setting.registry.push("team/tool:1", &image);
    setting.home.write_user_settings("");
    let before = setting.registry.requests().len();
    let name = setting.registry.name("team/tool:1");
    setting.pull(&name).refused("insecure = true");
    let plain: Vec<_> = setting.registry.requests().split_off(before);
    assert!(
        plain.iter().all(|request| request.status != 200),
        "it was asked by plain HTTP: {plain:?}"
    );
}

#[test]
fn plain_http_to_a_registry_of_tls_says_so() {
    let Some((home, registry, _authority, name)) = encrypted() else {
        return;
    };
    home.write_user_settings(&plain(&registry.host()));
    home.call(["image", "pull", &name]).refused("insecure");
}

#[test]
fn an_authority_that_is_no_file_is_named() {
    let Some((home, registry, _authority, name)) = encrypted() else {
        return;
    };
    let host = registry.host();
    home.write_user_settings(&format!(
        "[registries.\"{host}\"]\nca = \"/no/such/authority.pem\"\n"
    ));
    home.call(["image", "pull", &name])
        .refused("/no/such/authority.pem");
}
