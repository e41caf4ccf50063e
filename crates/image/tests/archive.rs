//! Archives that engines and tools write come in, and go out again as what they were.

#![expect(clippy::unwrap_used, reason = "a test fails with a panic")]

mod store_common;

use std::{
    fs,
    io::{Read, Write},
    path::Path,
    process::Command,
};

use agentkernel_image::{
    Image, ImageConfig, Store, Writer,
    archive::{Format, Import, export, import, import_layout},
    host_architecture,
    manifest::media_type,
    unpack::Limits,
};
use serde_json::{Value, json};
use store_common::{add, config, digest, name, place, source, tar};

fn plan() -> Import {
    Import {
        name: None,
        source: source(),
        config: ImageConfig::default(),
        limits: Limits::default(),
    }
}

fn take(writer: &Writer, archive: &[u8]) -> agentkernel_image::Result<Vec<Image>> {
    let mut archive = archive;
    import(writer, &mut archive as &mut (dyn Read + Send), &plan())
}

fn names(store: &Store, image: &Image) -> Vec<String> {
    let listing = store.list().unwrap();
    let listed = listing.images.into_iter().find(|listed| listed.id == image.id);
    listed.unwrap().names
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(plain).unwrap();
    packed.finish().unwrap()
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 1).unwrap()
}

fn layers() -> [Vec<u8>; 2] {
    [tar(&[("etc/", b""), ("etc/one", b"1")]), tar(&[("two", b"2")])]
}

/// What Docker writes since 1.10: folders with VERSION, json and layer.tar, and a legacy `repositories`.
fn docker_old() -> Vec<u8> {
    let [one, two] = layers();
    let config = config("docker", &[&one, &two]);
    let (first, second) = ("1".repeat(64), "2".repeat(64));
    let config_name = format!("{}.json", digest(&config).hex());
    let manifest = json!([{
        "Config": config_name, "RepoTags": ["old:1", "ghcr.io/x/old:2"],
        "Layers": [format!("{first}/layer.tar"), format!("{second}/layer.tar")],
    }]);
    tar(&[
        (&format!("{first}/"), b""),
        (&format!("{first}/VERSION"), b"1.0"),
        (&format!("{first}/json"), b"{}"),
        (&format!("{first}/layer.tar"), &one),
        (&format!("{second}/"), b""),
        (&format!("{second}/VERSION"), b"1.0"),
        (&format!("{second}/json"), b"{}"),
        (&format!("{second}/layer.tar"), &two),
        (&config_name, &config),
        ("manifest.json", &bytes(&manifest)),
        ("repositories", b"{}"),
    ])
}

fn blob(content: &[u8]) -> String {
    format!("blobs/sha256/{}", digest(content).hex())
}

fn descriptor(kind: &str, content: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": digest(content), "size": content.len()})
}

/// The files of an OCI layout with one image. Its layers are packed.
fn oci_files(mark: &str, name: Option<&str>) -> Vec<(String, Vec<u8>)> {
    let [one, two] = layers();
    let config = config(mark, &[&one, &two]);
    let (one, two) = (gzip(&one), zstd(&two));
    let manifest = bytes(&json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": descriptor(media_type::OCI_CONFIG, &config),
        "layers": [
            descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &one),
            descriptor("application/vnd.oci.image.layer.v1.tar+zstd", &two),
        ],
    }));
    let mut entry = descriptor(media_type::OCI_MANIFEST, &manifest);
    if let Some(name) = name {
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
    }
    let index = bytes(&json!({"schemaVersion": 2, "manifests": [entry]}));
    vec![
        (
            "oci-layout".to_owned(),
            br#"{"imageLayoutVersion": "1.0.0"}"#.to_vec(),
        ),
        ("index.json".to_owned(), index),
        (blob(&manifest), manifest),
        (blob(&config), config),
        (blob(&one), one),
        (blob(&two), two),
    ]
}

fn as_tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, content)| (&name[..], &content[..]))
        .collect();
    tar(&files)
}

fn as_folder(files: &[(String, Vec<u8>)], folder: &Path) {
    for (name, content) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

#[test]
fn a_docker_archive_comes_in_however_it_is_packed() {
    let plain = docker_old();
    for archive in [plain.clone(), gzip(&plain), zstd(&plain)] {
        let place = place();
        let writer = place.store.writer().unwrap();
        let images = take(&writer, &archive).unwrap();
        let [one, two] = layers();
        assert_eq!(images.len(), 1);
        assert_eq!(images[0].id, digest(&config("docker", &[&one, &two])));
        assert_eq!(fs::read(images[0].layers[1].tree.join("two")).unwrap(), b"2");
        assert_eq!(
            names(&place.store, &images[0]),
            [name("old:1").to_string(), "ghcr.io/x/old:2".to_owned()]
        );
        assert_eq!(fs::read_dir(writer.incoming()).unwrap().count(), 0);
        assert_eq!(
            take(&writer, &archive).unwrap(),
            images,
            "a second time it is there already"
        );
    }
}

#[test]
fn a_docker_archive_with_both_layouts_comes_in_by_its_manifest() {
    let place = place();
    let mut files = oci_files("both", Some("1"));
    let (config, one, two) = (files[3].0.clone(), files[4].0.clone(), files[5].0.clone());
    let manifest = json!([{"Config": config, "RepoTags": ["both:1"], "Layers": [one, two]}]);
    files.push(("manifest.json".to_owned(), bytes(&manifest)));
    let images = take(&place.store.writer().unwrap(), &as_tar(&files)).unwrap();
    assert_eq!(names(&place.store, &images[0]), [name("both:1").to_string()]);
}

#[test]
fn a_layer_that_is_a_link_to_another_one_is_found() {
    let place = place();
    let layer = tar(&[("file", b"content")]);
    let config = config("links", &[&layer, &layer, &layer]);
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |path: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, path, content).unwrap();
    };
    let manifest = json!([{"Config": "config.json", "RepoTags": null, "Layers": ["a/layer.tar", "b/layer.tar", "c/layer.tar"]}]);
    add("manifest.json", &bytes(&manifest));
    add("config.json", &config);
    add("a/layer.tar", &layer);
    for (kind, path, target) in [
        (tar::EntryType::Symlink, "b/layer.tar", "../a/layer.tar"),
        (tar::EntryType::Link, "c/layer.tar", "b/layer.tar"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        archive.append_link(&mut header, path, target).unwrap();
    }
    let images = take(&place.store.writer().unwrap(), &archive.into_inner().unwrap()).unwrap();
    assert_eq!(images[0].layers.len(), 3);
    assert_eq!(names(&place.store, &images[0]), Vec::<String>::new());
}

#[test]
fn an_oci_archive_and_its_folder_are_the_same_image() {
    let files = oci_files("oci", Some("example.org/a:1"));
    let (one, two) = (place(), place());
    let packed = take(&one.store.writer().unwrap(), &gzip(&as_tar(&files))).unwrap();
    let folder = two.folder.path().join("layout");
    as_folder(&files, &folder);
    let unpacked = import_layout(&two.store.writer().unwrap(), &folder, &plan()).unwrap();
    assert_eq!(packed[0].id, unpacked[0].id);
    assert_eq!(packed[0].manifest, Some(digest(&files[2].1)));
    for place in [&one, &two] {
        assert_eq!(
            place.store.resolve("example.org/a:1").unwrap(),
            Some(packed[0].id.clone())
        );
        assert_eq!(
            place.store.resolve(digest(&files[2].1).as_str()).unwrap(),
            Some(packed[0].id.clone())
        );
    }
}

#[test]
fn a_tag_alone_is_no_name() {
    let place = place();
    let images = take(
        &place.store.writer().unwrap(),
        &as_tar(&oci_files("tag", Some("latest"))),
    )
    .unwrap();
    assert_eq!(names(&place.store, &images[0]), Vec::<String>::new());
}

#[test]
fn several_images_in_one_archive_all_come_in_but_cannot_have_one_name() {
    let place = place();
    let (mut files, other) = (oci_files("a", Some("a:1")), oci_files("b", Some("b:1")));
    let mut index: Value = serde_json::from_slice(&files[1].1).unwrap();
    let second: Value = serde_json::from_slice(&other[1].1).unwrap();
    index["manifests"]
        .as_array_mut()
        .unwrap()
        .push(second["manifests"][0].clone());
    files[1].1 = bytes(&index);
    files.extend_from_slice(&other[2..4]);
    let archive = as_tar(&files);
    let writer = place.store.writer().unwrap();
    assert_eq!(take(&writer, &archive).unwrap().len(), 2);
    let named = Import {
        name: Some(name("one")),
        ..plan()
    };
    let error = import(&writer, &mut &archive[..] as &mut (dyn Read + Send), &named).unwrap_err();
    assert!(error.to_string().contains("2 images"), "{error}");
}

#[test]
fn of_several_platforms_ours_comes_in_also_out_of_an_index_in_the_index() {
    let place = place();
    let mut files = oci_files("ours", None);
    let index: Value = serde_json::from_slice(&files[1].1).unwrap();
    let mut ours = index["manifests"][0].clone();
    ours["platform"] = json!({"os": "linux", "architecture": host_architecture()});
    let mut theirs = descriptor(media_type::OCI_MANIFEST, b"not in the archive");
    theirs["platform"] = json!({"os": "linux", "architecture": "s390x"});
    let inner =
        bytes(&json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [theirs, ours]}));
    let flat = inner.clone();
    let mut entry = descriptor(media_type::OCI_INDEX, &inner);
    entry["annotations"] = json!({"io.containerd.image.name": "docker.io/library/ours:1"});
    files.push((blob(&inner), inner));
    files[1].1 = bytes(&json!({"schemaVersion": 2, "manifests": [entry]}));
    let writer = place.store.writer().unwrap();
    let nested = take(&writer, &as_tar(&files)).unwrap();
    assert_eq!(names(&place.store, &nested[0]), [name("ours:1").to_string()]);
    files[1].1 = flat;
    assert_eq!(take(&writer, &as_tar(&files)).unwrap()[0].id, nested[0].id);
}

#[test]
fn a_plain_root_file_system_is_one_layer_with_the_configuration_that_was_given() {
    let plain = tar(&[
        ("./", b""),
        ("./etc/", b""),
        ("./etc/passwd", b"app:x:5:6::/:\n"),
        ("./manifest.json", b"[]"),
    ]);
    for archive in [plain.clone(), gzip(&plain), zstd(&plain)] {
        let place = place();
        let import_it = Import {
            name: Some(name("rootfs:1")),
            config: ImageConfig {
                user: Some("app".to_owned()),
                ..ImageConfig::default()
            },
            ..plan()
        };
        let writer = place.store.writer().unwrap();
        let images = import(&writer, &mut &archive[..] as &mut (dyn Read + Send), &import_it).unwrap();
        assert_eq!(images[0].layers[0].diff_id, digest(&plain));
        assert_eq!(images[0].user(None).unwrap().gid, 6);
        assert_eq!(
            place.store.resolve("rootfs:1").unwrap(),
            Some(images[0].id.clone())
        );
    }
}

#[test]
fn what_was_exported_is_the_same_image_again() {
    let [one, two] = layers();
    let from = place();
    let image = add(&from.store, "export", &[&one, &two, &one], &["a:1"]);
    let trees = image.trees();
    assert_eq!(
        trees,
        [&image.layers[0].tree, &image.layers[1].tree],
        "the upper one of two equal layers"
    );
    let tags = [name("a:1"), name("ghcr.io/b/c:2")];
    for format in [Format::Docker, Format::Oci] {
        let mut archive = Vec::new();
        export(&from.store, &image.id, &tags, format, &mut archive).unwrap();
        let mut again = Vec::new();
        export(&from.store, &image.id, &tags, format, &mut again).unwrap();
        assert!(archive == again, "the same bytes every time");
        let to = place();
        let images = take(&to.store.writer().unwrap(), &archive).unwrap();
        assert_eq!(images[0].id, image.id);
        let mut found = names(&to.store, &images[0]);
        found.sort();
        assert_eq!(
            found,
            [name("a:1").to_string(), "ghcr.io/b/c:2".to_owned()],
            "{format:?}"
        );
    }
}

#[test]
fn an_image_that_was_changed_in_the_store_is_not_exported() {
    let place = place();
    let layer = tar(&[("file", b"content")]);
    let image = add(&place.store, "changed", &[&layer], &[]);
    fs::write(image.layers[0].tree.join("file"), b"CONTENT").unwrap();
    let error = export(&place.store, &image.id, &[], Format::Oci, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("has been changed"), "{error}");
}

#[test]
fn other_tools_take_what_is_exported() {
    if Command::new("skopeo").arg("--version").output().is_err() {
        eprintln!("skipped: skopeo is not installed");
        return;
    }
    let [one, two] = layers();
    let place = place();
    let image = add(&place.store, "skopeo", &[&one, &two], &[]);
    for (format, kind) in [(Format::Docker, "docker-archive"), (Format::Oci, "oci-archive")] {
        let path = place.folder.path().join(kind);
        let mut file = fs::File::create(&path).unwrap();
        export(
            &place.store,
            &image.id,
            &[name("example.org/a:1")],
            format,
            &mut file,
        )
        .unwrap();
        let layout = place.folder.path().join(format!("{kind}.layout"));
        let copied = Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--quiet"])
            .arg(format!("{kind}:{}", path.display()))
            .arg(format!("oci:{}:example.org/a:1", layout.display()))
            .output()
            .unwrap();
        assert!(
            copied.status.success(),
            "{kind}: {}",
            String::from_utf8_lossy(&copied.stderr)
        );
        let other = store_common::place();
        let images = import_layout(&other.store.writer().unwrap(), &layout, &plan()).unwrap();
        let diff_ids = |image: &Image| {
            image
                .layers
                .iter()
                .map(|layer| layer.diff_id.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(diff_ids(&images[0]), diff_ids(&image), "{kind}");
        assert_eq!(
            other.store.resolve("example.org/a:1").unwrap(),
            Some(images[0].id.clone())
        );
        let back = place.folder.path().join(format!("{kind}.back"));
        let copied = Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--quiet"])
            .arg(format!("oci:{}:example.org/a:1", layout.display()))
            .arg(format!("docker-archive:{}:example.org/a:2", back.display()))
            .output()
            .unwrap();
        assert!(
            copied.status.success(),
            "{kind}: {}",
            String::from_utf8_lossy(&copied.stderr)
        );
        let images = take(&other.store.writer().unwrap(), &fs::read(back).unwrap()).unwrap();
        assert_eq!(diff_ids(&images[0]), diff_ids(&image), "{kind}");
    }
}
