//! Who may pull: passwords from where Docker keeps them, tokens, and that nobody else gets to see them.

use std::{fs, os::unix::fs::PermissionsExt};

use agentkernel_tests::{
    cli::{Home, Outcome, PATIENCE, wait_for},
    images::Image,
    registry::{Answer, BASIC, PASSWORD, Registry, Stub, USER, WRONG},
};
use serde_json::json;

use crate::setting::{Setting, plain};

/// A registry that wants a password, and the name of an image in it.
fn guarded() -> Option<(Home, Registry, String)> {
    let (setting, image) = (Setting::new()?, Image::busybox()?);
    setting.registry.push("team/secret:1", &image);
    let guarded = setting.registry.with_password();
    setting.home.write_user_settings(&plain(&guarded.host()));
    let name = guarded.name("team/secret:1");
    Some((setting.home, guarded, name))
}

fn write_docker_config(home: &Home, content: serde_json::Value) {
    home.write_at_home(".docker/config.json", content.to_string());
}

/// A program that answers as a credential helper does, in a folder of its own in the path.
fn pull_with_helper(home: &Home, name: &str, script: &str) -> Outcome {
    let path = home.write_at_home("bin/docker-credential-test", format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("own file");
    let mut command = home.command(["image", "pull", name]);
    let folder = path.parent().expect("a file has a folder").display().to_string();
    command.env("PATH", format!("{folder}:/usr/bin:/bin"));
    wait_for(command.spawn().expect("the binary can be started"), PATIENCE)
}

#[test]
fn without_a_password_the_refusal_says_how_to_sign_in() {
    let Some((home, _registry, name)) = guarded() else {
        return;
    };
    let outcome = home.call(["image", "pull", &name]).refused("docker login");
    assert!(
        outcome
            .errors()
            .contains(&name[..name.find('/').expect("a registry")])
    );
}

#[test]
fn a_password_of_dockers_configuration_is_used() {
    let Some((home, registry, name)) = guarded() else {
        return;
    };
    write_docker_config(&home, json!({ "auths": { registry.host(): { "auth": BASIC } } }));
    home.call(["image", "pull", &name]).success();
    home.call(["run", "--image", &name, "echo", "ran"])
        .success()
        .expect_text("ran\n");
}

#[test]
fn a_wrong_password_is_refused_and_not_shown() {
    let Some((home, registry, name)) = guarded() else {
        return;
    };
    write_docker_config(&home, json!({ "auths": { registry.host(): { "auth": WRONG } } }));
    let outcome = home.call(["image", "pull", &name]).refused(&registry.host());
    assert!(outcome.errors().contains("docker login"), "{}", outcome.errors());
    assert!(!outcome.errors().contains(WRONG) && !outcome.errors().contains("tester:wrong"));
}

#[test]
fn a_credential_helper_is_asked() {
    let Some((home, registry, name)) = guarded() else {
        return;
    };
    write_docker_config(&home, json!({ "credHelpers": { registry.host(): "test" } }));
    let answer = json!({ "ServerURL": registry.host(), "Username": USER, "Secret": PASSWORD });
    let script = format!("read host; echo \"$1 $host\" > \"$HOME/asked\"; echo '{answer}'");
    pull_with_helper(&home, &name, &script).success();
    let asked = fs::read_to_string(home.user_home().join("asked")).expect("the helper was run");
    assert_eq!(asked, format!("get {}\n", registry.host()));
}

#[test]
fn a_store_of_credentials_is_asked() {
    let Some((home, registry, name)) = guarded() else {
        return;
    };
    write_docker_config(
        &home,
        json!({ "credsStore": "test", "auths": { registry.host(): {} } }),
    );
    let answer = json!({ "ServerURL": registry.host(), "Username": USER, "Secret": PASSWORD });
    pull_with_helper(&home, &name, &format!("echo '{answer}'")).success();
}

#[test]
fn a_credential_helper_that_fails_is_named() {
    let Some((home, registry, name)) = guarded() else {
        return;
    };
    write_docker_config(&home, json!({ "credHelpers": { registry.host(): "test" } }));
    pull_with_helper(&home, &name, "echo broken >&2; exit 1").refused("docker-credential-test");
    pull_with_helper(&home, &name, "echo no json").refused("docker-credential-test");
}

#[test]
fn a_token_is_fetched_and_shown() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let stub = Stub::with_address(|address| {
        Box::new(move |asked| {
            let authorization = asked.authorization.as_deref();
            if asked.path.starts_with("/token") {
                let signed_in = authorization == Some(&format!("Basic {BASIC}"));
                let scoped = asked.path.contains("team") && asked.path.contains("pull");
                return match signed_in && scoped {
                    true => Answer::new("200 OK").body(json!({ "token": "ticket" }).to_string()),
                    false => Answer::new("401 Unauthorized"),
                };
            }
            if authorization != Some("Bearer ticket") {
                let realm = format!("Bearer realm=\"http://{address}/token\",service=\"test\"");
                let scope = ",scope=\"repository:team/tool:pull\"";
                return Answer::new("401 Unauthorized").header("WWW-Authenticate", realm + scope);
            }
            Answer::from_image(&image, asked)
        })
    });
    setting.home.write_user_settings(&plain(&stub.host()));
    let name = format!("{}/team/tool:1", stub.host());
    setting.pull(&name).refused("docker login");
    write_docker_config(
        &setting.home,
        json!({ "auths": { stub.host(): { "auth": BASIC } } }),
    );
    setting.pull(&name).success();
}

#[test]
fn a_password_goes_to_nobody_but_its_registry() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let elsewhere = Stub::new({
        let image = image.clone();
        move |asked| Answer::from_image(&image, asked)
    });
    let target = elsewhere.host();
    // It sends layers to another host, as registries with a store behind them do.
    let stub = Stub::new(move |asked| match asked.authorization.as_deref() {
        None => Answer::new("401 Unauthorized").header("WWW-Authenticate", "Basic realm=\"test\""),
        Some(_) if asked.path.contains("/blobs/") => {
            Answer::new("307 Temporary Redirect").header("Location", format!("http://{target}{}", asked.path))
        }
        Some(_) => Answer::from_image(&image, asked),
    });
    setting
        .home
        .write_user_settings(&(plain(&stub.host()) + &plain(&elsewhere.host())));
    write_docker_config(
        &setting.home,
        json!({ "auths": { stub.host(): { "auth": BASIC } } }),
    );
    let name = format!("{}/team/tool:1", stub.host());
    setting.pull(&name).success();
    let asked = elsewhere.asked();
    assert!(!asked.is_empty(), "nothing came from the other host");
    assert!(
        asked.iter().all(|asked| asked.authorization.is_none()),
        "the other host was shown {asked:?}"
    );
}

#[test]
fn the_image_never_sees_the_password() {
    let Some((home, registry, name)) = guarded() else {
        return;
    };
    write_docker_config(&home, json!({ "auths": { registry.host(): { "auth": BASIC } } }));
    let script = "env; find / -name config.json 2>/dev/null; cat ~/.docker/config.json 2>/dev/null; true";
    let outcome = home.call(["run", "--image", &name, "sh", "-c", script]).success();
    assert!(!outcome.text().contains(BASIC) && !outcome.text().contains(".docker"));
}
