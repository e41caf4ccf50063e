//! A real registry on loopback: plain, with a password, and with TLS.

mod support;

use std::{fs, os::unix::fs::MetadataExt as _};

use agentkernel_pull::RegistrySettings;
use agentkernel_types::ErrorKind;
use support::{
    Bench,
    image::{Content, Layer, TestImage},
    real::{PASSWORD, Registry, Setup, TOOLS, USER, certificates, encrypted, missing},
    reason, reference, request,
    server::{Answer, Server},
};

fn image() -> TestImage {
    TestImage::new(vec![
        Layer::new(1, 400_000),
        Layer::new(2, 5_000),
        Layer::new(3, 0),
    ])
}

#[tokio::test]
async fn what_skopeo_pushes_is_pulled_in_both_formats() {
    if missing(&TOOLS) {
        return;
    }
    let image = image();
    for format in ["oci", "v2s2"] {
        let registry = Registry::start(Setup::default());
        registry.push(&image, format);
        let bench = Bench::new(&[&registry.host()]);
        let pulled = bench.pull(&registry.image()).await.expect("a good registry");
        let ids: Vec<_> = pulled.layers.iter().map(|layer| layer.diff_id.clone()).collect();
        assert_eq!(
            ids,
            image
                .layers
                .iter()
                .map(|layer| layer.diff_id.clone())
                .collect::<Vec<_>>(),
            "{format}"
        );
        let file = fs::metadata(pulled.layers[0].tree.join("file-1")).expect("unpacked");
        assert_eq!(file.size(), 400_000);
        assert_eq!(pulled.config.cmd, ["/bin/true"]);
        // By its digest it is the same one, and the tag still stands for it.
        let name = reference(&registry.image());
        let digest = bench
            .puller()
            .digest(&request(&name))
            .await
            .expect("a good registry");
        assert_eq!(Some(&digest), pulled.manifest.as_ref());
        let pinned = format!("{}/team/app@{digest}", registry.host());
        assert_eq!(bench.pull(&pinned).await.expect("a good registry").id, pulled.id);
        assert_eq!(
            bench.store.resolve(&registry.image()).expect("readable"),
            Some(pulled.id)
        );
    }
}

#[tokio::test]
async fn an_image_or_a_tag_that_is_not_there_is_told() {
    if missing(&TOOLS) {
        return;
    }
    let registry = Registry::start(Setup::default());
    registry.push(&image(), "oci");
    let bench = Bench::new(&[&registry.host()]);
    for name in ["team/app:none", "nobody/nothing"] {
        let error = bench
            .pull(&format!("{}/{name}", registry.host()))
            .await
            .expect_err("not there");
        assert_eq!((reason(&error), error.kind()), ("not_found", ErrorKind::NotFound));
        assert!(error.message().contains(name), "{error}");
    }
}

#[tokio::test]
async fn a_password_opens_it() {
    if missing(&TOOLS) {
        return;
    }
    let registry = Registry::start(Setup {
        with_password: true,
        ..Setup::default()
    });
    registry.push(&image(), "oci");
    let host = registry.host();
    let bench = Bench::new(&[&host]);
    let error = bench.pull(&registry.image()).await.expect_err("no password");
    assert!(error.message().contains("wants credentials"), "{error}");
    let config = |password: &str| {
        format!(r#"{{"auths":{{"{host}":{{"username":"{USER}","password":"{password}"}}}}}}"#)
    };
    let bench = bench.with_config(&config("wrong"));
    let error = bench.pull(&registry.image()).await.expect_err("a wrong password");
    assert_eq!(reason(&error), "auth");
    assert!(error.message().contains("does not accept"), "{error}");
    let bench = bench.with_config(&config(PASSWORD));
    assert_eq!(
        bench.pull(&registry.image()).await.expect("the password").id,
        image().id()
    );
}

/// What a pull says of a registry whose certificate is for `names` and lasts `days`; `ca`: whether it is trusted.
async fn with_certificate(names: &str, days: &str, ca: bool) -> (String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    certificates(folder.path(), names, days);
    let registry = Registry::start(Setup {
        tls: Some(folder.path()),
        ..Setup::default()
    });
    if ca {
        registry.push(&image(), "oci");
    }
    let mut bench = Bench::new(&[]);
    let settings = RegistrySettings {
        ca: ca.then(|| folder.path().join("ca.pem")),
        ..RegistrySettings::default()
    };
    bench.registries.hosts.insert(registry.host(), settings);
    match bench.pull(&registry.image()).await {
        Ok(image) => ("ok".to_owned(), image.id.to_string()),
        Err(error) => (
            reason(&error).to_owned(),
            format!("{error}; {}", error.hint_text().unwrap_or_default()),
        ),
    }
}

#[tokio::test]
async fn certificates_are_judged_and_the_way_out_is_named() {
    if missing(&TOOLS) {
        return;
    }
    let ours = "IP:127.0.0.1";
    assert_eq!(
        with_certificate(ours, "2", true).await,
        ("ok".to_owned(), image().id().to_string())
    );
    let cases = [
        (
            ours,
            "2",
            false,
            "nobody we trust has signed its certificate",
            "ca = ",
        ),
        (ours, "-1", true, "its certificate has expired", "clock"),
        (
            "DNS:other.example",
            "2",
            true,
            "its certificate is for another name",
            "name that the certificate has",
        ),
    ];
    for (names, days, ca, why, hint) in cases {
        let (reason, text) = with_certificate(names, days, ca).await;
        assert_eq!(reason, "tls", "{text}");
        assert!(text.contains(why) && text.contains(hint), "{text}");
    }
}

#[tokio::test]
async fn plain_and_encrypted_are_told_apart_on_both_sides() {
    if missing(&TOOLS) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    certificates(folder.path(), "IP:127.0.0.1", "2");
    let encrypted = Registry::start(Setup {
        tls: Some(folder.path()),
        ..Setup::default()
    });
    let error = Bench::new(&[&encrypted.host()])
        .pull(&encrypted.image())
        .await
        .expect_err("it speaks TLS");
    assert!(
        error
            .hint_text()
            .is_some_and(|hint| hint.contains("remove insecure")),
        "{error:?}"
    );
    let plain = Registry::start(Setup::default());
    let error = Bench::new(&[])
        .pull(&plain.image())
        .await
        .expect_err("it speaks no TLS");
    assert_eq!(reason(&error), "tls");
    assert!(
        error
            .hint_text()
            .is_some_and(|hint| hint.contains("insecure = true")),
        "{error:?}"
    );
}

#[tokio::test]
async fn nothing_goes_on_without_encryption_that_began_with_it() {
    if missing(&["openssl"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    certificates(folder.path(), "IP:127.0.0.1", "2");
    let plain = Server::behaving(Content::new(), |_| {
        Some(Answer::new(200, r#"{"token":"granted"}"#))
    });
    let challenge = format!("Bearer realm=\"http://{}/token\"", plain.host());
    let answers = [
        (
            format!("307 Moved\r\nLocation: http://{}/", plain.host()),
            "protocol",
        ),
        (
            format!("401 Unauthorized\r\nWWW-Authenticate: {challenge}"),
            "auth",
        ),
    ];
    for (answer, expected) in answers {
        let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let host = encrypted(folder.path(), answer);
        let mut bench = Bench::new(&[]);
        let settings = RegistrySettings {
            ca: Some(folder.path().join("ca.pem")),
            ..RegistrySettings::default()
        };
        bench.registries.hosts.insert(host.clone(), settings);
        let error = bench
            .pull(&format!("{host}/team/app"))
            .await
            .expect_err("it is not safe");
        assert_eq!(reason(&error), expected, "{error:?}");
    }
    assert_eq!(plain.requests().len(), 0);
}
