//! Manifests and indexes: what is read, what is chosen, what is refused.

#![expect(clippy::unwrap_used, reason = "a test fails with a panic")]

mod store_common;

use agentkernel_image::manifest::{self, Document, Index, Platform, choose_platform, media_type};
use agentkernel_types::ErrorKind;
use proptest::prelude::*;
use serde_json::{Value, json};
use store_common::digest;

fn blob(kind: &str, content: &str) -> Value {
    json!({"mediaType": kind, "digest": digest(content.as_bytes()), "size": content.len()})
}

fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": blob(media_type::OCI_CONFIG, "config"),
        "layers": [blob("application/vnd.oci.image.layer.v1.tar+gzip", "layer")],
        "annotations": {"a": "b"},
        "subject": null,
    })
}

fn parse(value: &Value) -> agentkernel_image::Result<Document> {
    manifest::parse(value.to_string().as_bytes())
}

fn index(platforms: &[&str]) -> Index {
    let entry = |text: &&str| {
        let mut entry = blob(media_type::OCI_MANIFEST, text);
        let parts: Vec<&str> = text.split('/').collect();
        entry["platform"] = json!({"os": parts[0], "architecture": parts[1]});
        if let Some(variant) = parts.get(2) {
            entry["platform"]["variant"] = json!(variant);
        }
        entry
    };
    let manifests: Vec<Value> = platforms.iter().map(entry).collect();
    match parse(&json!({"schemaVersion": 2, "manifests": manifests})).unwrap() {
        Document::Index(index) => index,
        Document::Manifest(_) => panic!("it is an index"),
    }
}

fn platform(text: &str) -> Platform {
    let mut parts = text.split('/').map(str::to_owned);
    Platform {
        os: parts.next().unwrap(),
        architecture: parts.next().unwrap(),
        variant: parts.next(),
    }
}

#[test]
fn manifests_of_oci_and_docker_are_read() {
    let mut docker = image();
    docker["mediaType"] = json!(media_type::DOCKER_MANIFEST);
    docker["config"]["mediaType"] = json!(media_type::DOCKER_CONFIG);
    docker["layers"][0]["mediaType"] = json!("application/vnd.docker.image.rootfs.diff.tar.gzip");
    let mut untyped = image();
    untyped.as_object_mut().unwrap().remove("mediaType");
    for value in [image(), docker, untyped] {
        let Document::Manifest(manifest) = parse(&value).unwrap() else {
            panic!("it is a manifest");
        };
        assert_eq!(manifest.config.digest, digest(b"config"));
        assert_eq!(manifest.layers[0].size, 5);
        assert_eq!(
            manifest::config_of(value.to_string().as_bytes()),
            Some(digest(b"config"))
        );
    }
}

#[test]
fn what_is_no_image_for_us_is_refused_by_its_reason() {
    use ErrorKind::{InvalidSpec, Unsupported};
    let change = |pointer: &str, to: Value| {
        let mut value = image();
        match value.pointer_mut(pointer) {
            Some(place) => *place = to,
            None => value[&pointer[1..]] = to,
        }
        value
    };
    let layer = |kind: &str| change("/layers/0/mediaType", json!(kind));
    let oci_layer = media_type::OCI_LAYER;
    let cases = [
        (change("/schemaVersion", json!(1)), Unsupported, "first schema"),
        (
            json!({"fsLayers": [], "history": []}),
            Unsupported,
            "first schema",
        ),
        (change("/schemaVersion", json!(3)), InvalidSpec, "schemaVersion"),
        (json!({}), InvalidSpec, "schemaVersion"),
        (json!({"schemaVersion": 2}), InvalidSpec, "neither"),
        (change("/manifests", json!([])), InvalidSpec, "both"),
        (
            json!({"schemaVersion": 2, "layers": [], "manifests": []}),
            InvalidSpec,
            "both",
        ),
        (
            change("/mediaType", json!(media_type::OCI_INDEX)),
            InvalidSpec,
            "says that it is",
        ),
        (
            json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "manifests": []}),
            InvalidSpec,
            "says that",
        ),
        (change("/layers", json!([])), InvalidSpec, "no layers"),
        (change("/layers", json!(null)), InvalidSpec, "no layers"),
        (
            change("/layers", Value::Array(vec![image()["layers"][0].clone(); 128])),
            InvalidSpec,
            "128 layers",
        ),
        (
            change("/config/mediaType", json!("application/vnd.wasm.config.v0+json")),
            Unsupported,
            "WebAssembly",
        ),
        (
            change("/config/mediaType", json!("application/vnd.oci.empty.v1+json")),
            Unsupported,
            "an artifact",
        ),
        (
            change(
                "/config/mediaType",
                json!("application/vnd.cncf.helm.config.v1+json"),
            ),
            Unsupported,
            "helm",
        ),
        (
            change("/config/size", json!(9 << 20)),
            InvalidSpec,
            "configuration has",
        ),
        (layer("application/wasm"), Unsupported, "WebAssembly"),
        (layer("application/vnd.in-toto+json"), Unsupported, "in-toto"),
        (
            layer("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
            Unsupported,
            "foreign layer",
        ),
        (
            layer("application/vnd.oci.image.layer.nondistributable.v1.tar"),
            Unsupported,
            "foreign layer",
        ),
        (
            layer(&format!("{oci_layer}+gzip+encrypted")),
            Unsupported,
            "encrypted",
        ),
        (layer(&format!("{oci_layer}+xz")), Unsupported, "+xz"),
        (
            change("/layers/0/digest", json!("sha512:00")),
            InvalidSpec,
            "no sha256 digest",
        ),
        (
            change("/layers/0/digest", json!("sha256:../../x")),
            InvalidSpec,
            "no sha256 digest",
        ),
        (change("/layers/0/size", json!(-1)), InvalidSpec, "cannot be used"),
        (
            change("/layers/0/size", json!(u64::MAX)),
            InvalidSpec,
            "impossible size",
        ),
        (
            change("/layers/0", json!({"digest": digest(b"x")})),
            InvalidSpec,
            "size",
        ),
    ];
    for (value, kind, why) in cases {
        let error = parse(&value).expect_err(why);
        assert!(error.to_string().contains(why), "{why}: {error}");
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[test]
fn a_field_that_occurs_twice_is_refused() {
    let text = image().to_string().replacen('{', r#"{"layers": [],"#, 1);
    assert!(
        manifest::parse(text.as_bytes())
            .unwrap_err()
            .to_string()
            .contains("duplicate")
    );
}

#[test]
fn what_is_too_long_is_refused_unread() {
    let error = manifest::parse(&vec![b' '; manifest::MAX_BYTES + 1]).unwrap_err();
    assert!(error.to_string().contains("4 MiB"));
    let many = vec![blob(media_type::OCI_MANIFEST, "x"); manifest::MAX_ENTRIES + 1];
    assert!(parse(&json!({"schemaVersion": 2, "manifests": many})).is_err());
}

#[test]
fn the_best_platform_is_chosen() {
    // What is offered, what is wanted, what is chosen.
    #[rustfmt::skip]
    let table: &[(&[&str], &str, &str)] = &[
        (&["linux/arm64/v8", "linux/amd64"], "linux/amd64", "linux/amd64"),
        (&["windows/amd64", "linux/amd64"], "linux/amd64", "linux/amd64"),
        (&["linux/amd64/v3", "linux/amd64"], "linux/amd64", "linux/amd64"),
        (&["linux/amd64/v3", "linux/amd64/v1"], "linux/amd64", "linux/amd64/v1"),
        (&["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v3", "linux/amd64/v2"),
        (&["linux/arm64", "linux/amd64"], "linux/arm64", "linux/arm64"),
        (&["linux/arm64/v8"], "linux/arm64", "linux/arm64/v8"),
        (&["linux/arm64"], "linux/arm64/v8", "linux/arm64"),
        (&["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"], "linux/arm/v7", "linux/arm/v7"),
        (&["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"], "linux/arm/v6", "linux/arm/v6"),
        (&["linux/arm/v5", "linux/arm/v6"], "linux/arm/v7", "linux/arm/v6"),
        (&["linux/arm/v5", "linux/arm/v7"], "linux/arm/v6", "linux/arm/v5"),
        (&["linux/arm/v5", "linux/arm/v6"], "linux/arm", "linux/arm/v6"),
        (&["linux/s390x"], "linux/s390x", "linux/s390x"),
    ];
    for (offered, wanted, chosen) in table {
        let index = index(offered);
        let entry = choose_platform(&index, &platform(wanted)).unwrap();
        assert_eq!(
            entry.descriptor.digest,
            digest(chosen.as_bytes()),
            "{offered:?} {wanted}"
        );
    }
}

#[test]
fn a_platform_that_is_not_offered_is_refused_with_those_that_are() {
    for offered in [
        &["windows/amd64", "linux/arm/v7"][..],
        &["linux/amd64/v3"],
        &["unknown/unknown"],
        &[],
    ] {
        let error = choose_platform(&index(offered), &platform("linux/amd64")).unwrap_err();
        assert_eq!(error.to_string(), "the image is not made for linux/amd64");
        let shown = offered.first().filter(|text| !text.starts_with("unknown"));
        let hint = error.hint_text().unwrap_or_default();
        assert_eq!(hint.contains("it is made for"), shown.is_some(), "{hint}");
    }
}

#[test]
fn attestations_are_no_images() {
    let mut attestation = blob(media_type::OCI_MANIFEST, "attestation");
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    attestation["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    let only = blob(media_type::OCI_MANIFEST, "only");
    let Document::Index(index) =
        parse(&json!({"schemaVersion": 2, "manifests": [attestation, only]})).unwrap()
    else {
        panic!("it is an index");
    };
    let entry = choose_platform(&index, &Platform::host()).unwrap();
    assert_eq!(
        entry.descriptor.digest,
        digest(b"only"),
        "the only image says itself what it is for"
    );
}

/// JSON that is near a manifest.
fn nearly() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!(2)),
        Just(json!(-1)),
        Just(json!("")),
        Just(json!([])),
        Just(json!(digest(b"x"))),
        Just(json!(media_type::OCI_MANIFEST)),
        Just(json!(media_type::OCI_CONFIG)),
        Just(blob(media_type::OCI_CONFIG, "config")),
        Just(blob(media_type::OCI_LAYER, "layer")),
        Just(json!([blob(media_type::OCI_LAYER, "layer")])),
        Just(json!([{"platform": {}}])),
    ];
    const KEYS: [&str; 8] = [
        "schemaVersion",
        "mediaType",
        "config",
        "layers",
        "manifests",
        "fsLayers",
        "digest",
        "size",
    ];
    prop::collection::vec((prop::sample::select(&KEYS[..]), leaf), 0..6).prop_map(|changes| {
        let mut value = image();
        for (key, change) in changes {
            value[key] = change;
        }
        value.to_string()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_taken_keeps_to_the_limits(text in prop_oneof![nearly(), any::<String>()]) {
        match manifest::parse(text.as_bytes()) {
            Ok(Document::Manifest(manifest)) => prop_assert!((1..=127).contains(&manifest.layers.len())),
            Ok(Document::Index(index)) => prop_assert!(index.manifests.len() <= manifest::MAX_ENTRIES),
            Err(error) => prop_assert!(error.to_string().len() < 1000),
        }
    }
}
