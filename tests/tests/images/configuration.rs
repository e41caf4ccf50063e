//! What an image says about how it is to be run, by Docker's rules.

use agentkernel_tests::images::Image;
use serde_json::{Value, json};

use crate::setting::Setting;

/// What the image says, the flags, the command, and what is then printed.
type Case = (
    Value,
    &'static [&'static str],
    &'static [&'static str],
    &'static str,
);

/// The program prints its arguments, each in brackets.
const SHOW: [&str; 4] = ["/bin/sh", "-c", "for word; do echo \"[$word]\"; done", "show"];

fn show(arguments: &[&str]) -> Value {
    json!(SHOW.iter().chain(arguments).collect::<Vec<_>>())
}

fn cases() -> Vec<Case> {
    vec![
        (json!({ "Cmd": ["echo", "cmd"] }), &[], &[], "cmd\n"),
        (
            json!({ "Cmd": ["echo", "cmd"] }),
            &[],
            &["echo", "mine"],
            "mine\n",
        ),
        (json!({ "Entrypoint": show(&["entry"]) }), &[], &[], "[entry]\n"),
        (
            json!({ "Entrypoint": show(&["entry"]), "Cmd": ["cmd"] }),
            &[],
            &[],
            "[entry]\n[cmd]\n",
        ),
        (
            json!({ "Entrypoint": show(&["entry"]), "Cmd": ["cmd"] }),
            &[],
            &["mine"],
            "[entry]\n[mine]\n",
        ),
        // Another entrypoint takes the image's command away.
        (
            json!({ "Entrypoint": show(&["entry"]), "Cmd": ["cmd"] }),
            &["--entrypoint", "echo"],
            &["mine"],
            "mine\n",
        ),
        (
            json!({ "Entrypoint": show(&["entry"]), "Cmd": ["cmd"] }),
            &["--entrypoint", "echo"],
            &[],
            "\n",
        ),
        // An empty one takes the entrypoint away.
        (
            json!({ "Entrypoint": show(&["entry"]) }),
            &["--entrypoint", ""],
            &["echo", "mine"],
            "mine\n",
        ),
        // The shell form, as Dockerfiles without brackets have it.
        (
            json!({ "Cmd": ["/bin/sh", "-c", "echo a  b"] }),
            &[],
            &[],
            "a b\n",
        ),
        (
            json!({ "Env": ["A=1", "B=two words", "C="] }),
            &[],
            &["sh", "-c", "echo \"$A|$B|$C|\""],
            "1|two words||\n",
        ),
        (
            json!({ "Env": ["A=1"] }),
            &["-e", "A=2"],
            &["sh", "-c", "echo $A"],
            "2\n",
        ),
        (
            json!({ "Env": ["PATH=/srv:/bin"] }),
            &[],
            &["sh", "-c", "echo $PATH"],
            "/srv:/bin\n",
        ),
        (
            json!({}),
            &[],
            &["sh", "-c", "echo $PATH"],
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
        ),
        (json!({ "WorkingDir": "/srv/app" }), &[], &["pwd"], "/srv/app\n"),
        (
            json!({ "WorkingDir": "/srv/app" }),
            &["-w", "/tmp"],
            &["pwd"],
            "/tmp\n",
        ),
        (
            json!({ "WorkingDir": "/made/for/it" }),
            &[],
            &["pwd"],
            "/made/for/it\n",
        ),
        (json!({}), &[], &["pwd"], "/\n"),
        (json!({}), &[], &["id", "-u"], "0\n"),
        (json!({}), &[], &["sh", "-c", "echo $HOME"], "/root\n"),
    ]
}

/// Only root has more than one user in a sandbox.
fn users() -> Vec<Case> {
    const WHO: &[&str] = &["sh", "-c", "echo $(id -u):$(id -g) $HOME"];
    vec![
        (json!({ "User": "app" }), &[], WHO, "1000:1000 /srv/app\n"),
        (json!({ "User": "1000" }), &[], WHO, "1000:1000 /srv/app\n"),
        (json!({ "User": "app:staff" }), &[], WHO, "1000:50 /srv/app\n"),
        (json!({ "User": "1000:50" }), &[], WHO, "1000:50 /srv/app\n"),
        (json!({ "User": "4321" }), &[], WHO, "4321:0 /\n"),
        (json!({ "User": "app" }), &["-u", "root"], WHO, "0:0 /root\n"),
        (json!({}), &["-u", "app"], WHO, "1000:1000 /srv/app\n"),
        (
            json!({ "User": "app" }),
            &[],
            &["sh", "-c", ": > /srv/app/own && stat -c %u:%g /srv/app/own"],
            "1000:1000\n",
        ),
        (
            json!({ "User": "app" }),
            &[],
            &["sh", "-c", "(: > /etc/no) 2>/dev/null || echo refused"],
            "refused\n",
        ),
    ]
}

fn check(setting: &Setting, image: &Image, cases: &[Case]) {
    let mut wrong = Vec::new();
    for (number, (config, flags, command, expected)) in cases.iter().enumerate() {
        let mut image = image.clone();
        image.config["config"] = config.clone();
        let name = setting.pulled(&format!("team/case:{number}"), &image);
        let outcome = setting
            .home
            .call([&["run"], *flags, &["--image", &name], *command].concat());
        if !outcome.status.success() || outcome.text() != *expected {
            let (text, errors) = (outcome.text(), outcome.errors());
            wrong.push(format!(
                "{config} {flags:?} {command:?}: {} {text:?} {errors}",
                outcome.status
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_image_says_what_runs_where_and_with_what() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    check(&setting, &image, &cases());
}

#[test]
fn an_image_says_it_to_an_ordinary_user_too() {
    let (Some(setting), Some(image)) = (Setting::rootless(), Image::busybox()) else {
        return;
    };
    check(&setting, &image, &cases());
}

#[test]
fn an_image_says_as_whom() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    if !rustix::process::getuid().is_root() {
        agentkernel_tests::skipped("only root has several users in a sandbox");
        return;
    }
    check(&setting, &image, &users());
}

#[test]
fn what_an_image_says_and_cannot_be_is_refused() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let refusals = [
        (json!({ "User": "nobody-knows" }), "nobody-knows"),
        (json!({ "WorkingDir": "relative/../../x" }), "relative/../../x"),
        (json!({}), "command"),
    ];
    for (number, (config, word)) in refusals.into_iter().enumerate() {
        let mut image = image.clone();
        image.config["config"] = config;
        let name = setting.pulled(&format!("team/case:{number}"), &image);
        let command: &[&str] = if word == "command" { &[] } else { &["true"] };
        setting.run(&name, command).refused(word);
    }
}

#[test]
fn explain_shows_what_the_image_says() {
    let (Some(setting), Some(image)) = (Setting::new(), Image::busybox()) else {
        return;
    };
    let image = image
        .set("Entrypoint", json!(["/bin/echo", "entry"]))
        .set("WorkingDir", json!("/srv/app"));
    let name = setting.pulled("team/tool:1", &image);
    let text = setting
        .home
        .call(["run", "--explain", "--image", &name])
        .success()
        .text();
    assert!(
        text.contains(&name) && text.contains("/srv/app") && text.contains("entry"),
        "{text}"
    );
}
