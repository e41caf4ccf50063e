//! Manifests, indexes and configurations: what they say is compared with what they are.

mod support;

use agentkernel_image::{Error, Image, manifest::Platform};
use agentkernel_types::ErrorKind;
use support::{
    Bench,
    image::{Layer, TestImage, index, sha256},
    reason, reference, request,
    server::{Answer, Server, well_behaved},
};

fn image() -> TestImage {
    TestImage::new(vec![Layer::new(1, 300_000), Layer::new(2, 5_000)])
}

fn refused(pulled: Result<Image, Error>) -> Error {
    pulled.map(|image| image.id).expect_err("it must not be accepted")
}

#[tokio::test]
async fn a_manifest_must_be_what_its_digest_says() {
    let (one, other) = (image(), TestImage::new(vec![Layer::new(9, 100)]));
    let mut content = one.content();
    content.extend(other.content());
    // The registry gives another image for a digest.
    let server = Server::behaving(content.clone(), {
        let (content, wanted) = (content.clone(), format!("manifests/{}", one.digest()));
        move |request| {
            let lie = content.get("manifests/latest")?.1.clone();
            (request.key() == wanted).then(|| Answer::new(200, lie))
        }
    });
    let bench = Bench::new(&[&server.host()]);
    let pinned = format!("{}/team/app@{}", server.host(), one.digest());
    assert_eq!(reason(&refused(bench.pull(&pinned).await)), "digest");
    // Its header names another digest than the body has.
    let server = Server::behaving(one.content(), {
        let (content, lie) = (one.content(), other.digest().to_string());
        move |request| {
            let answer = well_behaved(&content, request);
            let headers = vec![("Docker-Content-Digest".to_owned(), lie.clone())];
            (request.key() == "manifests/latest").then_some(Answer { headers, ..answer })
        }
    });
    let bench = Bench::new(&[&server.host()]);
    assert_eq!(reason(&refused(bench.pull(&server.image()).await)), "digest");
}

#[tokio::test]
async fn a_configuration_must_be_what_the_manifest_says() {
    let image = image();
    let key = format!("blobs/{}", image.id());
    let mut other = image.config.clone();
    let at = other.len() - 2;
    other.insert(at, b' ');
    for lie in [other, image.config[1..].to_vec(), b"{}".to_vec()] {
        let key = key.clone();
        let server = Server::behaving(image.content(), move |request| {
            (request.key() == key).then(|| Answer::new(200, lie.clone()))
        });
        let bench = Bench::new(&[&server.host()]);
        assert_eq!(reason(&refused(bench.pull(&server.image()).await)), "digest");
    }
}

#[tokio::test]
async fn a_layer_whose_archive_is_another_one_is_refused() {
    let mut image = image();
    let lie = image.layers[0].diff_id.to_string();
    let text = String::from_utf8(image.config.clone()).expect("text");
    let config = text.replace(&lie, sha256(b"another").as_str()).into_bytes();
    let descriptors: Vec<_> = image
        .layers
        .iter()
        .map(|layer| {
            format!(
                r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{}","size":{}}}"#,
                layer.digest(),
                layer.compressed.len()
            )
        })
        .collect();
    image.manifest = TestImage::manifest_of(&config, &descriptors);
    image.config = config;
    let server = Server::new(image.content());
    let bench = Bench::new(&[&server.host()]);
    assert_eq!(reason(&refused(bench.pull(&server.image()).await)), "digest");
    assert!(bench.store.resolve(&server.image()).expect("readable").is_none());
}

#[tokio::test]
async fn documents_that_are_no_images_are_refused_with_their_name() {
    let cases = [
        "",
        "null",
        "[]",
        "{}",
        "{\"schemaVersion\":1}",
        "<html></html>",
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}"#,
        r#"{"schemaVersion":2,"manifests":[],"layers":[],"config":{}}"#,
    ];
    for json in cases {
        let server = Server::behaving(image().content(), move |request| {
            (request.key() == "manifests/latest").then(|| Answer::new(200, json))
        });
        let error = refused(Bench::new(&[&server.host()]).pull(&server.image()).await);
        assert!(
            matches!(reason(&error), "protocol" | "platform"),
            "{json}: {error:?}"
        );
    }
}

#[tokio::test]
async fn the_image_for_this_machine_is_chosen_from_an_index() {
    let host = Platform::host().architecture;
    let (own, foreign) = (
        image(),
        TestImage::for_architecture(vec![Layer::new(7, 10)], "s390x"),
    );
    let (_, content) = index(&[("s390x", &foreign), (&host, &own)]);
    let server = Server::new(content);
    let bench = Bench::new(&[&server.host()]);
    let pulled = bench.pull(&server.image()).await.expect("it is there");
    assert_eq!((pulled.id, pulled.manifest), (own.id(), Some(own.digest())));
}

#[tokio::test]
async fn an_image_that_is_not_for_this_machine_is_refused_with_what_there_is() {
    let foreign = TestImage::for_architecture(vec![Layer::new(7, 10)], "s390x");
    let (_, content) = index(&[("s390x", &foreign), ("ppc64le", &foreign)]);
    let server = Server::new(content);
    let bench = Bench::new(&[&server.host()]);
    let error = refused(bench.pull(&server.image()).await);
    assert_eq!(
        (reason(&error), error.kind()),
        ("platform", ErrorKind::Unsupported)
    );
    assert!(
        error
            .hint_text()
            .is_some_and(|hint| hint.contains("linux/ppc64le, linux/s390x")),
        "{error:?}"
    );
    // Without an index its configuration says so, and no layer is fetched.
    let server = Server::new(foreign.content());
    let error = refused(Bench::new(&[&server.host()]).pull(&server.image()).await);
    assert_eq!(reason(&error), "platform");
    assert_eq!(server.count(&foreign.first_layer()), 0);
}

#[tokio::test]
async fn an_image_that_is_too_large_is_refused_before_its_layers() {
    let image = image();
    let server = Server::new(image.content());
    let bench = Bench::new(&[&server.host()]);
    let reference = reference(&server.image());
    let mut request = request(&reference);
    request.limits.bytes = 1000;
    let error = refused(
        bench
            .puller()
            .pull(&bench.store, &request, &bench.progress())
            .await,
    );
    assert_eq!(reason(&error), "storage");
    assert_eq!(server.count(&image.first_layer()), 0);
}

#[tokio::test]
async fn a_tag_is_looked_up_without_its_body() {
    let (digest, content) = index(&[("amd64", &image()), ("arm64", &image())]);
    let server = Server::new(content.clone());
    let bench = Bench::new(&[&server.host()]);
    let reference = reference(&server.image());
    assert_eq!(
        bench.puller().digest(&request(&reference)).await.expect("there"),
        digest
    );
    assert!(server.requests().iter().all(|request| request.method == "HEAD"));
    // Registries that know no HEAD, or say no digest, are asked for the whole.
    for status in [200, 405, 500] {
        let behaving = Server::behaving(content.clone(), move |request| {
            (request.method == "HEAD").then(|| Answer::new(status, ""))
        });
        let bench = Bench::new(&[&behaving.host()]);
        let reference = support::reference(&behaving.image());
        assert_eq!(
            bench
                .puller()
                .digest(&support::request(&reference))
                .await
                .expect("there"),
            digest
        );
    }
}
