//! What the image says about how it is to be run.

use agentkernel_image::ImageConfig;
use agentkernel_types::ErrorKind;

use crate::stage::{Stage, busybox, words};

#[tokio::test]
async fn the_configuration_of_the_image_is_obeyed() {
    let config = ImageConfig {
        env: words(&[("PATH", "/opt/tool:/bin"), ("GREETING", "hello"), ("EMPTY", "")]),
        workdir: Some("/work/deep".to_owned()),
        user: Some("www".to_owned()),
        ..ImageConfig::default()
    };
    let stage = Stage::with(config, &[&busybox]).await;
    let mut spec = stage.spec();
    spec.env = vec![agentkernel_types::EnvVar::new("MINE", "1").expect("a variable")];
    let said = stage.run(&spec, "pwd; id -u; id -g; env").await.expect("it runs");
    let mut lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..3], ["/work/deep", "33", "33"]);
    lines[3..].sort_unstable();
    let set = |name: &str| {
        lines[3..]
            .iter()
            .find(|line| line.split('=').next() == Some(name))
            .copied()
    };
    assert_eq!(set("PATH"), Some("PATH=/opt/tool:/bin"));
    assert_eq!(set("GREETING"), Some("GREETING=hello"));
    assert_eq!(set("EMPTY"), Some("EMPTY="));
    assert_eq!(set("MINE"), Some("MINE=1"));
    assert_eq!(set("HOME"), Some("HOME=/var/www"));
    for name in ["USER", "LOGNAME", "SHELL", "LANG"] {
        assert_eq!(set(name), None, "{name}");
    }
}

#[tokio::test]
async fn without_a_configuration_it_is_root_in_the_root_with_the_usual_path() {
    let stage = Stage::busybox(|_| ()).await;
    let said = stage
        .says("pwd; id -u; echo $HOME $PATH; hostname; cat /etc/hostname")
        .await;
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(said, format!("/\n0\n/root {path}\nsandbox\nsandbox\n"));
}

#[tokio::test]
async fn a_user_by_number_or_with_a_group_is_taken_and_an_unknown_name_refused() {
    let stage = Stage::busybox(|_| ()).await;
    for (user, expected) in [
        ("4711", "4711 0 /\n"),
        ("33:50", "33 50 /var/www\n"),
        ("www:staff", "33 50 /var/www\n"),
    ] {
        let mut spec = stage.spec();
        spec.user = Some(user.parse().expect("a user"));
        let said = stage
            .run(&spec, "echo $(id -u) $(id -g) $HOME")
            .await
            .expect("it runs");
        assert_eq!(said, expected, "{user}");
    }
    let mut spec = stage.spec();
    spec.user = Some("nobody-here".parse().expect("a user"));
    let error = stage.backend.check(&spec).expect_err("nobody has that name");
    assert!(error.to_string().contains("nobody-here"), "{error}");
}

#[tokio::test]
async fn an_image_that_is_not_in_the_store_is_refused_by_name() {
    let stage = Stage::busybox(|_| ()).await;
    let mut spec = stage.spec();
    spec.image_id = None;
    let error = stage.backend.check(&spec).expect_err("no id");
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::NotFound, Some("image"))
    );
    assert!(error.to_string().contains("made/by-hand"), "{error}");
    spec.image_id = Some(agentkernel_types::Digest::from_sha256([7; 32]));
    let error = stage.backend.check(&spec).expect_err("an unknown id");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}
