//! Archives that lie: refused by name, nothing outside the store is touched, nothing is left.

#![expect(clippy::unwrap_used, reason = "a test fails with a panic")]

mod store_common;

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::symlink,
};

use agentkernel_image::{
    Error, ImageConfig,
    archive::{Import, import, import_layout},
    manifest::media_type,
    unpack::Limits,
};
use agentkernel_types::ErrorKind;
use proptest::prelude::*;
use serde_json::{Value, json};
use store_common::{Place, config, digest, place, source, tar};
use tar::EntryType;

fn plan() -> Import {
    Import {
        name: None,
        source: source(),
        config: ImageConfig::default(),
        limits: Limits {
            bytes: 64 << 20,
            ..Limits::default()
        },
    }
}

fn refused(place: &Place, archive: &mut (dyn Read + Send)) -> Error {
    let writer = place.store.writer().unwrap();
    let error = import(&writer, archive, &plan()).expect_err("it was taken");
    assert_eq!(place.store.list().unwrap().images, []);
    assert_eq!(fs::read_dir(writer.incoming()).unwrap().count(), 0, "{error}");
    error
}

/// An archive whose entries have any name, as `tar` itself would not write them.
#[derive(Default)]
struct Raw(Vec<u8>);

impl Raw {
    fn entry(mut self, kind: EntryType, name: &str, target: &str, content: &[u8]) -> Self {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, name, "", content)
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn layer() -> Vec<u8> {
    tar(&[("file", b"content")])
}

fn saved(config: &str, layers: &[&str]) -> Vec<u8> {
    json!([{"Config": config, "RepoTags": ["a:1"], "Layers": layers}])
        .to_string()
        .into_bytes()
}

fn with_config(config_json: &[u8], layer_name: &str) -> Raw {
    Raw::default()
        .file("manifest.json", &saved("config.json", &[layer_name]))
        .file("config.json", config_json)
}

fn docker(layer_name: &str) -> Raw {
    with_config(&config("a", &[&layer()]), layer_name)
}

#[test]
fn docker_archives_that_lie_are_refused_by_what_is_wrong() {
    let layer = layer();
    let two = config("a", &[&layer, &layer]);
    let other = tar(&[("other", b"")]);
    let hash = "a".repeat(64);
    let json_name = format!("{hash}.json");
    let link = |target: &str| docker("x/layer.tar").entry(EntryType::Symlink, "x/layer.tar", target, b"");
    let cases: Vec<(&str, Raw)> = vec![
        ("leads out", docker("../../etc/passwd").file("l.tar", &layer)),
        ("leads out", docker("/etc/passwd").file("l.tar", &layer)),
        ("leads out", docker("a/../../l.tar").file("l.tar", &layer)),
        ("is not in it", docker("missing.tar")),
        ("is not in it", docker("")),
        ("leads out", link("../../layer.tar")),
        ("leads out", link("/etc/passwd")),
        ("is not in it", link("../y/layer.tar")),
        ("circle", link("layer.tar")),
        (
            "circle",
            link("../y/layer.tar").entry(EntryType::Symlink, "y/layer.tar", "../x/layer.tar", b""),
        ),
        (
            "leads out",
            docker("x").entry(EntryType::Link, "x", "../../etc/passwd", b""),
        ),
        (
            "not a regular file",
            docker("x").entry(EntryType::Char, "x", "", b""),
        ),
        (
            "not a regular file",
            docker("x").entry(EntryType::Fifo, "x", "", b""),
        ),
        ("has an entry named", docker("l.tar").file("../escape", b"x")),
        ("has an entry named", docker("l.tar").file("/absolute", b"x")),
        ("has an entry named", docker("l.tar").file("a/../../b", b"x")),
        (
            "twice",
            docker("l.tar").file("l.tar", &layer).file("l.tar", &other),
        ),
        (
            "twice",
            docker("l.tar").file("l.tar", &layer).file("./l.tar", &other),
        ),
        ("digest", docker("l.tar").file("l.tar", &other)),
        (
            "has 1 layers and its configuration says 2",
            with_config(&two, "l.tar").file("l.tar", &layer),
        ),
        (
            "not what its name says",
            Raw::default()
                .file("manifest.json", &saved(&json_name, &["l.tar"]))
                .file(&json_name, &config("a", &[&layer]))
                .file("l.tar", &layer),
        ),
        (
            "cannot be used",
            with_config(b"{}", "l.tar").file("l.tar", &layer),
        ),
        ("0 images", Raw::default().file("manifest.json", b"[]")),
        ("manifest.json", Raw::default().file("manifest.json", b"{}")),
        (
            "manifest.json",
            Raw::default().file("manifest.json", b"[{\"Config\": 1}]"),
        ),
        (
            "bytes, and",
            Raw::default().file("manifest.json", &vec![b' '; (4 << 20) + 1]),
        ),
        ("bytes, and", with_config(&vec![b' '; (8 << 20) + 1], "l.tar")),
        ("older than 1.10", Raw::default().file("repositories", b"{}")),
        ("neither", Raw::default().file("oci-layout", b"{}")),
        (
            "invalid image",
            Raw::default()
                .file(
                    "manifest.json",
                    br#"[{"Config": "c", "RepoTags": ["UPPER CASE"], "Layers": []}]"#,
                )
                .file("c", &config("a", &[&layer])),
        ),
    ];
    for (why, archive) in cases {
        let error = refused(&place(), &mut &archive.end()[..]);
        assert!(error.to_string().contains(why), "{why}: {error}");
        assert_eq!(error.kind(), ErrorKind::InvalidSpec, "{error}");
    }
}

fn blob(content: &[u8]) -> String {
    format!("blobs/sha256/{}", digest(content).hex())
}

fn descriptor(kind: &str, content: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": digest(content), "size": content.len()})
}

type Files = Vec<(String, Vec<u8>)>;

/// `change` may spoil the manifest; then the files are laid down by their right names.
fn oci(change: impl Fn(&mut Value), index_change: impl Fn(&mut Value)) -> Files {
    let layer = layer();
    let config = config("a", &[&layer]);
    let mut manifest = json!({
        "schemaVersion": 2,
        "config": descriptor(media_type::OCI_CONFIG, &config),
        "layers": [descriptor(media_type::OCI_LAYER, &layer)],
    });
    change(&mut manifest);
    let manifest = manifest.to_string().into_bytes();
    let mut index =
        json!({"schemaVersion": 2, "manifests": [descriptor(media_type::OCI_MANIFEST, &manifest)]});
    index_change(&mut index);
    vec![
        ("index.json".to_owned(), index.to_string().into_bytes()),
        (blob(&manifest), manifest),
        (blob(&config), config),
        (blob(&layer), layer),
    ]
}

#[test]
fn oci_layouts_that_lie_are_refused_by_what_is_wrong() {
    let same = |_: &mut Value| {};
    let with = |at: usize, content: Option<&[u8]>| {
        let mut files = oci(same, same);
        match content {
            Some(content) => files[at].1 = content.to_vec(),
            None => drop(files.remove(at)),
        }
        files
    };
    let circle = || {
        // An index cannot hold its own digest, so a long way stands for a circle.
        let mut files = oci(same, same);
        let mut below = descriptor(media_type::OCI_MANIFEST, &files[1].1);
        for _ in 0..5 {
            let index = json!({"schemaVersion": 2, "manifests": [below]})
                .to_string()
                .into_bytes();
            below = descriptor(media_type::OCI_INDEX, &index);
            files.push((blob(&index), index));
        }
        files[0].1 = json!({"schemaVersion": 2, "manifests": [below]})
            .to_string()
            .into_bytes();
        files
    };
    let cases: Vec<(&str, Files)> = vec![
        ("digest and size say", with(1, Some(b"{}"))),
        ("digest and size say", with(2, Some(b"{}"))),
        ("has 7 bytes and not", with(3, Some(b"another"))),
        ("is not in it", with(1, None)),
        ("is not in it", with(2, None)),
        ("is not in it", with(3, None)),
        ("is no index", with(0, Some(&oci(same, same)[1].1))),
        (
            "no sha256 digest",
            oci(
                |manifest| manifest["layers"][0]["digest"] = json!("sha256:../../../../etc/passwd"),
                same,
            ),
        ),
        (
            "foreign layer",
            oci(
                |manifest| {
                    manifest["layers"][0]["mediaType"] =
                        json!("application/vnd.docker.image.rootfs.foreign.diff.tar")
                },
                same,
            ),
        ),
        (
            "an artifact",
            oci(
                |manifest| manifest["config"]["mediaType"] = json!("application/x"),
                same,
            ),
        ),
        (
            "digest and size say",
            oci(|manifest| manifest["config"]["size"] = json!(1), same),
        ),
        (
            "has 2 layers",
            oci(
                |manifest| {
                    let layer = manifest["layers"][0].clone();
                    manifest["layers"].as_array_mut().unwrap().push(layer);
                },
                same,
            ),
        ),
        ("0 images", oci(same, |index| index["manifests"] = json!([]))),
        (
            "1025 entries",
            oci(same, |index| {
                index["manifests"] = json!(vec![index["manifests"][0].clone(); 1025])
            }),
        ),
        (
            "300 images",
            oci(same, |index| {
                index["manifests"] = json!(vec![index["manifests"][0].clone(); 300])
            }),
        ),
        ("both", oci(same, |index| index["layers"] = json!([]))),
        ("indexes lead", circle()),
    ];
    for (why, files) in cases {
        let entries: Vec<(&str, &[u8])> = files
            .iter()
            .map(|(name, content)| (&name[..], &content[..]))
            .collect();
        let error = refused(&place(), &mut &tar(&entries)[..]);
        assert!(error.to_string().contains(why), "{why}: {error}");

        let place = place();
        let folder = place.folder.path().join("layout");
        fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
        for (name, content) in &files {
            fs::write(folder.join(name), content).unwrap();
        }
        let error = import_layout(&place.store.writer().unwrap(), &folder, &plan()).unwrap_err();
        assert!(error.to_string().contains(why), "as a folder: {why}: {error}");
    }
}

#[test]
fn links_in_a_layout_folder_are_refused() {
    let files = oci(|_| {}, |_| {});
    for at in 0..files.len() {
        let place = place();
        let folder = place.folder.path().join("layout");
        fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
        for (number, (name, content)) in files.iter().enumerate() {
            let aside = place.folder.path().join(number.to_string());
            fs::write(&aside, content).unwrap();
            if number == at {
                symlink(&aside, folder.join(name)).unwrap();
            } else {
                fs::write(folder.join(name), content).unwrap();
            }
        }
        let error = import_layout(&place.store.writer().unwrap(), &folder, &plan()).unwrap_err();
        assert!(error.to_string().contains("is a link"), "{error}");
    }
    let place = place();
    let folder = place.folder.path().join("layout");
    fs::create_dir(&folder).unwrap();
    symlink("/", folder.join("blobs")).unwrap();
    fs::write(folder.join("index.json"), &files[0].1).unwrap();
    assert!(import_layout(&place.store.writer().unwrap(), &folder, &plan()).is_err());
}

/// Zeros without an end.
struct Zeros(u64);

impl Read for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(usize::try_from(self.0).unwrap_or(usize::MAX));
        buffer[..count].fill(0);
        self.0 -= count as u64;
        Ok(count)
    }
}

fn header(kind: EntryType, name: &str, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).unwrap();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[test]
fn what_is_too_large_is_refused_before_it_is_laid_down() {
    let first = Raw::default().file("manifest.json", b"[]").0;
    for size in [65 << 20, 1 << 40, u64::MAX / 2, u64::MAX] {
        let archive = [first.clone(), header(EntryType::Regular, "big", size)].concat();
        let error = refused(&place(), &mut (&archive[..]).chain(Zeros(u64::MAX)));
        assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
    }
    let global = [
        first.clone(),
        header(EntryType::XGlobalHeader, "g", 0).repeat(200_000),
    ]
    .concat();
    assert_eq!(refused(&place(), &mut &global[..]).kind(), ErrorKind::Exhausted);
    let small = header(EntryType::Directory, "blobs/", 0);
    let many = small.repeat(200_000);
    let error = refused(&place(), &mut &[first, many].concat()[..]);
    assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
}

#[test]
fn what_comes_after_the_end_mark_is_bounded() {
    let archive = docker("l.tar").file("l.tar", &layer()).end();
    let error = refused(&place(), &mut (&archive[..]).chain(Zeros(1 << 40)));
    assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
}

#[test]
fn long_names_take_no_memory() {
    let first = Raw::default().file("manifest.json", b"[]").0;
    for kind in [
        EntryType::GNULongName,
        EntryType::GNULongLink,
        EntryType::XHeader,
        EntryType::XGlobalHeader,
    ] {
        let archive = [first.clone(), header(kind, "name", 1 << 40)].concat();
        let error = refused(&place(), &mut (&archive[..]).chain(Zeros(1 << 40)));
        assert!(error.to_string().contains("longer than 1 MiB"), "{error}");
    }
}

#[test]
fn a_bomb_is_refused_by_its_ratio() {
    let mut plain = header(EntryType::Regular, "manifest.json", 60 << 20);
    plain.resize(plain.len() + (60 << 20), 0);
    let packed = zstd::encode_all(&plain[..], 19).unwrap();
    let error = refused(&place(), &mut &packed[..]);
    assert!(error.to_string().contains("compressed more than"), "{error}");
}

#[test]
fn broken_archives_are_refused() {
    let whole = docker("l.tar").file("l.tar", &layer()).end();
    for cut in [600, 1024, 1500, whole.len() - 2048] {
        let error = refused(&place(), &mut &whole[..cut]);
        assert_eq!(error.kind(), ErrorKind::InvalidSpec, "{cut}: {error}");
    }
    let mut flipped = whole.clone();
    flipped[1024 + 20] ^= 1;
    assert!(
        refused(&place(), &mut &flipped[..])
            .to_string()
            .contains("checksum")
    );
    let mut packed = zstd::encode_all(&whole[..], 1).unwrap();
    packed.truncate(packed.len() - 10);
    refused(&place(), &mut &packed[..]);
}

/// A source that fails, as a broken pipe does.
#[test]
fn a_stream_that_fails_is_refused_with_its_reason() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the cable is out"))
        }
    }
    let first = docker("l.tar").0.repeat(200);
    let error = refused(&place(), &mut (&first[..1024]).chain(Fails));
    assert!(error.to_string().contains("the cable is out"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_damage_is_refused_or_gives_the_very_same_image(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)
    ) {
        let mut archive = docker("l.tar").file("l.tar", &layer()).end();
        for (at, to) in changes {
            let at = at.index(archive.len());
            archive[at] = to;
        }
        let place = place();
        let writer = place.store.writer().unwrap();
        if let Ok(images) = import(&writer, &mut &archive[..] as &mut (dyn Read + Send), &plan()) {
            for image in images {
                prop_assert_eq!(&place.store.get(&image.id).unwrap(), &Some(image.clone()));
            }
        }
        prop_assert_eq!(fs::read_dir(writer.incoming()).unwrap().count(), 0);
    }
}
