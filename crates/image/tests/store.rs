//! The store: adding, finding, using and removing images.

#![expect(clippy::unwrap_used, reason = "a test fails with a panic")]

mod store_common;

use std::{
    collections::BTreeSet,
    fs,
    io::Read,
    os::unix::fs::{PermissionsExt, symlink},
    time::{Duration, SystemTime},
};

use agentkernel_image::{
    ImageConfig, Store,
    unpack::{Limits, Ownership},
};
use agentkernel_types::{Digest, ErrorKind};
use store_common::{add, add_layer, config, digest, name, place, source, tar};

const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n";

fn layer(mark: &str) -> Vec<u8> {
    tar(&[("etc/", b""), ("etc/passwd", PASSWD), ("mark", mark.as_bytes())])
}

fn set_used(store: &Store, id: &Digest, seconds_ago: u64) {
    let path = store.folder().join("images").join(format!("{}.json", id.hex()));
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds_ago))
        .unwrap();
}

fn ids(store: &Store) -> Vec<Digest> {
    store
        .list()
        .unwrap()
        .images
        .into_iter()
        .map(|listed| listed.id)
        .collect()
}

fn layers(store: &Store) -> usize {
    fs::read_dir(store.folder().join("layers")).unwrap().count()
}

fn assert_nothing_unfinished(store: &Store) {
    let left: Vec<_> = fs::read_dir(store.folder().join("incoming"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(left, Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_store_that_is_not_there_is_empty_and_stays_away() {
    let place = place();
    assert_eq!(place.store.resolve("alpine").unwrap(), None);
    assert_eq!(place.store.resolve("abcdef").unwrap(), None);
    assert_eq!(place.store.get(&digest(b"x")).unwrap(), None);
    assert_eq!(place.store.list().unwrap(), Default::default());
    assert_eq!(
        place.store.prune(&[], true, None, false).unwrap(),
        Default::default()
    );
    assert_eq!(place.store.leftovers().unwrap().len(), 0);
    assert_eq!(
        place.store.lease(&digest(b"x")).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        place.store.remove("alpine", &[], false).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert!(!place.store.folder().exists());
}

#[test]
fn an_image_that_was_added_is_leased_with_all_that_a_run_needs() {
    let place = place();
    let layer = layer("a");
    let added = add(&place.store, "a", &[&layer], &["alpine:3.24"]);
    let id = place.store.resolve("alpine:3.24").unwrap().unwrap();
    let lease = place.store.lease(&id).unwrap();
    assert_eq!(lease.image, added);
    assert_eq!(id, digest(&config("a", &[&layer])));
    assert_eq!(lease.image.config.cmd, ["/bin/true"]);
    assert_eq!(lease.image.layers[0].diff_id, digest(&layer));
    assert_eq!(fs::read(lease.image.layers[0].tree.join("mark")).unwrap(), b"a");
    assert_eq!(lease.image.user(Some(&"app".parse().unwrap())).unwrap().uid, 1000);
    assert!(lease.image.owners.uids.contains(&1000) && lease.image.owners.gids.contains(&1001));
    let mode = fs::metadata(place.store.folder()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_nothing_unfinished(&place.store);
}

#[test]
fn an_image_is_found_by_names_digests_and_beginnings_of_its_id() {
    let place = place();
    let layer = layer("a");
    let json = config("a", &[&layer]);
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(&json), "size": json.len()},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(&layer), "size": layer.len()}],
    });
    let manifest = manifest.to_string().into_bytes();
    let writer = place.store.writer().unwrap();
    add_layer(&writer, &layer).unwrap();
    let index = format!("ghcr.io/a/b@{}", digest(b"an index"));
    let names = [name("ghcr.io/a/b:1"), name(&index)];
    let image = writer
        .add_image(&json, Some(&manifest), &names, source())
        .unwrap();
    assert_eq!(image.manifest, Some(digest(&manifest)));
    let id = image.id;
    for text in [
        "ghcr.io/a/b:1",
        "GHCR.io/a/b:1",
        id.as_str(),
        id.hex(),
        id.short(),
        &id.hex()[..4],
        &id.as_str()[..14],
        digest(&manifest).as_str(),
        &index,
        &format!("ghcr.io/a/b:2@{}", digest(b"an index")),
        &format!("ghcr.io/a/b:1@{}", digest(&manifest)),
        &format!("other.io/x@{}", digest(&manifest)),
    ] {
        assert_eq!(place.store.resolve(text).unwrap().as_ref(), Some(&id), "{text}");
    }
    for text in [
        "ghcr.io/a/b",
        "b:1",
        &id.hex()[..3],
        "",
        "../..",
        &"0".repeat(4096),
        &digest(b"x").to_string(),
    ] {
        assert_eq!(place.store.resolve(text).unwrap(), None, "{text}");
    }
}

#[test]
fn a_beginning_that_two_ids_have_is_refused_with_both() {
    let place = place();
    let layer = layer("a");
    let image = add(&place.store, "a", &[&layer], &[]);
    let images = place.store.folder().join("images");
    let twin = format!("{}{}", &image.id.hex()[..12], "0".repeat(52));
    fs::write(images.join(format!("{twin}.json")), b"{}").unwrap();
    let error = place.store.resolve(image.id.short()).unwrap_err();
    assert!(error.hint_text().unwrap().contains(&twin), "{error:?}");
}

#[test]
fn a_name_moves_to_the_image_that_gets_it_last() {
    let place = place();
    let layer = layer("a");
    let old = add(&place.store, "old", &[&layer], &["alpine"]);
    let new = add(&place.store, "new", &[&layer], &["alpine"]);
    assert_eq!(place.store.resolve("alpine").unwrap(), Some(new.id));
    let listing = place.store.list().unwrap();
    let old = listing.images.iter().find(|listed| listed.id == old.id).unwrap();
    assert!(old.names.is_empty());
    assert_eq!(old.own_bytes, 0, "both have the same layer");
}

#[test]
fn an_image_that_is_added_again_stays_as_it_is() {
    let place = place();
    let layer = layer("a");
    let first = add(&place.store, "a", &[&layer], &["one"]);
    let lease = place.store.lease(&first.id).unwrap();
    let again = add(&place.store, "a", &[&layer], &["two"]);
    assert_eq!(first, again);
    let error = place.store.remove(first.id.hex(), &[], true).unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Conflict,
        "the lease holds: the record is the same file"
    );
    drop(lease);
    assert_eq!(
        place.store.remove(first.id.hex(), &[], true).unwrap().names.len(),
        2
    );
}

#[test]
fn a_layer_with_another_digest_is_refused_and_leaves_nothing() {
    let place = place();
    let writer = place.store.writer().unwrap();
    let layer = layer("a");
    let expected = digest(b"another");
    let mut archive: &[u8] = &layer;
    let error = writer.add_layer(
        Some(&expected),
        &mut archive as &mut (dyn Read + Send),
        &Limits::default(),
    );
    assert!(error.unwrap_err().to_string().contains(digest(&layer).as_str()));
    assert_eq!(layers(&place.store), 0);
    assert_nothing_unfinished(&place.store);
}

#[test]
fn an_image_needs_its_layers_and_a_manifest_that_leads_to_it() {
    let place = place();
    let writer = place.store.writer().unwrap();
    let layer = layer("a");
    let json = config("a", &[&layer]);
    let missing = writer.add_image(&json, None, &[name("a")], source()).unwrap_err();
    assert!(missing.to_string().contains("is not in the store"), "{missing}");
    add_layer(&writer, &layer).unwrap();
    let wrong = serde_json::json!({
        "schemaVersion": 2,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(b"x"), "size": 1},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(b"x"), "size": 1}],
    });
    for manifest in [wrong.to_string().as_bytes(), b"{}"] {
        assert!(
            writer
                .add_image(&json, Some(manifest), &[name("a")], source())
                .is_err()
        );
    }
    let foreign = ImageConfig {
        architecture: "s390x".to_owned(),
        ..ImageConfig::default()
    };
    let foreign = foreign.to_json(&[digest(&layer)]);
    assert_eq!(
        writer
            .add_image(&foreign, None, &[], source())
            .unwrap_err()
            .kind(),
        ErrorKind::Unsupported
    );
    assert_eq!(ids(&place.store), []);
    assert_eq!(place.store.resolve("a").unwrap(), None);
}

#[test]
fn a_layer_of_an_earlier_start_of_the_machine_is_made_again_unless_an_image_has_it() {
    let place = place();
    let (kept, lost) = (layer("kept"), layer("lost"));
    add(&place.store, "a", &[&kept], &["a"]);
    add_layer(&place.store.writer().unwrap(), &lost).unwrap();
    for layer in [&kept, &lost] {
        let path = place.store.folder().join("layers").join(digest(layer).hex());
        let record = path.join("layer.json");
        let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
        json["boot"] = "another start".into();
        fs::write(record, json.to_string()).unwrap();
        fs::write(path.join("tree/mark"), b"").unwrap();
    }
    let writer = place.store.writer().unwrap();
    assert!(
        writer.layer(&digest(&kept)).unwrap().is_some(),
        "an image's record comes after its layers"
    );
    assert!(writer.layer(&digest(&lost)).unwrap().is_none());
    let again = add_layer(&writer, &lost).unwrap();
    assert_eq!(fs::read(again.tree.join("mark")).unwrap(), b"lost");
    drop(writer);
    assert_nothing_unfinished(&place.store);
}

#[test]
fn a_lease_keeps_its_image_and_notes_the_time() {
    let place = place();
    let layer = layer("a");
    let image = add(&place.store, "a", &[&layer], &["alpine"]);
    set_used(&place.store, &image.id, 3600);
    let before = place.store.list().unwrap().images[0].used_at_ms;
    let lease = place.store.lease(&image.id).unwrap();
    let second = place.store.lease(&image.id).unwrap();
    let listed = place.store.list().unwrap().images.remove(0);
    assert!(listed.in_use && listed.used_at_ms >= before + 3_000_000);
    for force in [false, true] {
        let error = place.store.remove("alpine", &[], force).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
    assert_eq!(
        place.store.prune(&[], true, None, false).unwrap(),
        Default::default()
    );
    assert_eq!(
        place.store.prune(&[], true, Some(0), false).unwrap(),
        Default::default()
    );
    assert!(
        place.store.resolve("alpine").unwrap().is_some(),
        "the refused removal took no name"
    );
    drop(lease);
    assert!(
        place.store.remove("alpine", &[], false).is_err(),
        "the second lease still holds"
    );
    drop(second);
    place.store.remove("alpine", &[], false).unwrap();
    assert_eq!(
        place.store.lease(&image.id).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn removal_by_name_and_by_id() {
    let place = place();
    let (shared, own) = (layer("shared"), layer("own"));
    let one = add(&place.store, "one", &[&shared, &own], &["one:1", "one:2"]);
    let two = add(&place.store, "two", &[&shared], &["two"]);
    let removed = place.store.remove("one:1", &[], false).unwrap();
    assert_eq!(
        (removed.names, removed.images, removed.bytes),
        (vec![name("one:1").to_string()], vec![], 0)
    );
    place
        .store
        .writer()
        .unwrap()
        .name(&one.id, &name("one:3"))
        .unwrap();
    let error = place.store.remove(one.id.short(), &[], false).unwrap_err();
    assert!(error.to_string().contains("several names"), "{error}");
    let error = place
        .store
        .remove(one.id.short(), std::slice::from_ref(&one.id), true)
        .unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    let removed = place.store.remove(one.id.short(), &[], true).unwrap();
    assert_eq!(removed.images, [one.id]);
    assert_eq!(removed.names.len(), 2);
    assert_eq!(removed.bytes, one.layers[1].stored_bytes);
    assert_eq!(
        (ids(&place.store), layers(&place.store)),
        (vec![two.id.clone()], 1)
    );
    place.store.remove("two", &[], false).unwrap();
    assert_eq!(layers(&place.store), 0);
    for folder in ["names", "images", "configs", "manifests", "incoming"] {
        assert_eq!(
            fs::read_dir(place.store.folder().join(folder)).unwrap().count(),
            0,
            "{folder}"
        );
    }
}

#[test]
fn nothing_is_removed_while_a_writer_lives() {
    let place = place();
    let layer = layer("a");
    add(&place.store, "a", &[&layer], &["a"]);
    let writer = place.store.writer().unwrap();
    let second = place.store.writer().expect("writers do not keep each other out");
    for error in [
        place.store.remove("a", &[], true).unwrap_err(),
        place.store.prune(&[], true, None, true).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(
            error.to_string().contains("a pull or an import is at work"),
            "{error}"
        );
    }
    drop((writer, second));
    place.store.remove("a", &[], false).unwrap();
}

#[test]
fn pruning_takes_the_nameless_or_all_or_the_least_recently_used() {
    let place = place();
    let archives: Vec<Vec<u8>> = ["a", "b", "c", "d"].into_iter().map(layer).collect();
    let images: Vec<_> = archives
        .iter()
        .zip([&["a"][..], &[], &["c"], &["d"]])
        .enumerate()
        .map(|(at, (layer, names))| {
            let image = add(&place.store, &at.to_string(), &[layer], names);
            set_used(&place.store, &image.id, 1000 * (at as u64 + 1));
            image
        })
        .collect();
    let id = |at: usize| images[at].id.clone();
    let would = place.store.prune(&[], false, None, true).unwrap();
    assert_eq!(would.images, [id(1)]);
    assert_eq!(ids(&place.store).len(), 4, "a dry run removes nothing");
    assert_eq!(
        place.store.prune(&[id(1)], false, None, false).unwrap().images,
        []
    );
    assert_eq!(place.store.prune(&[], false, None, false).unwrap(), would);
    let size = images[0].layers[0].stored_bytes;
    assert_eq!(
        place
            .store
            .prune(&[], false, Some(3 * size), false)
            .unwrap()
            .images,
        []
    );
    // `d` was used longest ago, but it is kept.
    let removed = place.store.prune(&[id(3)], false, Some(2 * size), false).unwrap();
    assert_eq!((removed.images, removed.bytes), (vec![id(2)], size));
    assert_eq!(
        place.store.prune(&[id(3)], true, None, false).unwrap().images,
        [id(0)]
    );
    assert_eq!(ids(&place.store), [id(3)]);
    assert_nothing_unfinished(&place.store);
}

#[test]
fn pruning_takes_layers_and_names_that_lead_nowhere() {
    let place = place();
    let (used, unused) = (layer("used"), layer("unused"));
    add(&place.store, "a", &[&used], &["a"]);
    let writer = place.store.writer().unwrap();
    add_layer(&writer, &unused).unwrap();
    writer.name(&digest(b"gone"), &name("b")).unwrap();
    drop(writer);
    fs::write(place.store.folder().join("names/junk.json"), b"junk").unwrap();
    place.store.prune(&[], false, None, false).unwrap();
    assert_eq!(layers(&place.store), 1);
    assert_eq!(
        fs::read_dir(place.store.folder().join("names")).unwrap().count(),
        1
    );
    assert!(place.store.resolve("a").unwrap().is_some());
}

#[test]
fn a_damaged_record_is_reported_and_can_be_removed_or_mended() {
    let place = place();
    let (good, bad) = (layer("good"), layer("bad"));
    let good = add(&place.store, "good", &[&good], &["good"]);
    let json = config("bad", &[&bad]);
    let broken = add(&place.store, "bad", &[&bad], &["bad"]);
    let path = place
        .store
        .folder()
        .join("images")
        .join(format!("{}.json", broken.id.hex()));
    let whole = fs::read(&path).unwrap();
    let newer = String::from_utf8(whole.clone()).unwrap().replacen(
        "\"schema_version\":1",
        "\"schema_version\":99",
        1,
    );
    let swapped = fs::read(path.with_file_name(format!("{}.json", good.id.hex()))).unwrap();
    for (content, why) in [
        (&b""[..], "damaged"),
        (&whole[..whole.len() / 2], "damaged"),
        (newer.as_bytes(), "newer agentkernel"),
        (&swapped, "is the record of"),
    ] {
        fs::write(&path, content).unwrap();
        let listing = place.store.list().unwrap();
        assert_eq!(listing.images.len(), 1);
        assert_eq!(listing.damaged[0].id, broken.id);
        assert_eq!(listing.damaged[0].names, [name("bad").to_string()]);
        assert!(listing.damaged[0].why.contains(why), "{}", listing.damaged[0].why);
        assert!(
            place
                .store
                .lease(&broken.id)
                .unwrap_err()
                .to_string()
                .contains(why)
        );
    }
    let again = place
        .store
        .writer()
        .unwrap()
        .add_image(&json, None, &[], source());
    assert_eq!(again.unwrap().layers, broken.layers, "adding it again mends it");
    fs::write(&path, b"").unwrap();
    assert_eq!(place.store.remove("bad", &[], false).unwrap().images, [broken.id]);
    assert_eq!(layers(&place.store), 1);
}

#[test]
fn a_link_in_place_of_a_record_is_not_followed() {
    let place = place();
    let layer = layer("a");
    let image = add(&place.store, "a", &[&layer], &["a"]);
    let path = place
        .store
        .folder()
        .join("images")
        .join(format!("{}.json", image.id.hex()));
    let aside = place.folder.path().join("aside");
    fs::rename(&path, &aside).unwrap();
    symlink(&aside, &path).unwrap();
    assert!(place.store.lease(&image.id).is_err());
    assert_eq!(place.store.list().unwrap().damaged.len(), 1);
    place.store.remove("a", &[], false).unwrap();
    assert!(aside.exists() && !path.exists());
}

#[test]
fn a_store_of_somebody_else_is_refused() {
    let place = place();
    let layer = layer("a");
    let image = add(&place.store, "a", &[&layer], &["a"]);
    let marker = place.store.folder().join("store.json");
    let json = fs::read_to_string(&marker).unwrap();
    let mut other: serde_json::Value = serde_json::from_str(&json).unwrap();
    other["owner"] = 4242.into();
    fs::write(&marker, other.to_string()).unwrap();
    let error = place.store.writer().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("belongs to user 4242"), "{error}");
    fs::write(
        &marker,
        json.replace("\"schema_version\":1", "\"schema_version\":2"),
    )
    .unwrap();
    assert_eq!(place.store.writer().unwrap_err().kind(), ErrorKind::Unsupported);
    if rustix::process::geteuid().is_root() {
        let record = place
            .store
            .folder()
            .join("images")
            .join(format!("{}.json", image.id.hex()));
        std::os::unix::fs::chown(record, Some(4242), None).unwrap();
        assert_eq!(
            place.store.lease(&image.id).unwrap_err().kind(),
            ErrorKind::Denied
        );
        std::os::unix::fs::chown(place.store.folder(), Some(4242), None).unwrap();
        assert_eq!(place.store.list().unwrap_err().kind(), ErrorKind::Denied);
        assert_eq!(place.store.writer().unwrap_err().kind(), ErrorKind::Denied);
    }
}

#[test]
fn a_store_without_privilege_gives_every_file_to_the_caller_and_knows_the_owners() {
    use std::os::unix::fs::MetadataExt as _;
    let place = place();
    drop(place.store.writer().unwrap());
    let marker = place.store.folder().join("store.json");
    let json = fs::read_to_string(&marker).unwrap();
    fs::write(
        &marker,
        json.replace("\"keeps_owners\":true", "\"keeps_owners\":false"),
    )
    .unwrap();
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_uid(1234);
    header.set_gid(4321);
    header.set_size(0);
    header.set_mode(0o600);
    archive.append_data(&mut header, "file", &b""[..]).unwrap();
    let image = add(&place.store, "a", &[&archive.into_inner().unwrap()], &["a"]);
    assert_eq!(image.ownership, Ownership::Caller);
    assert_eq!(image.owners.uids, BTreeSet::from([1234]));
    assert_eq!(image.owners.gids, BTreeSet::from([4321]));
    let found = fs::metadata(image.layers[0].tree.join("file")).unwrap();
    assert_eq!(found.uid(), rustix::process::geteuid().as_raw());
    assert_eq!(place.store.lease(&image.id).unwrap().image, image);
}

#[test]
fn an_image_is_inspected_with_the_bytes_that_came() {
    let place = place();
    let layer = layer("a");
    let image = add(&place.store, "a", &[&layer], &["a"]);
    let inspected = place.store.inspect(&image.id).unwrap().unwrap();
    assert_eq!(inspected.config_json, config("a", &[&layer]));
    assert_eq!(inspected.manifest_json, None);
    assert_eq!(
        (inspected.image, inspected.listed.names),
        (image.clone(), vec![name("a").to_string()])
    );
    fs::write(place.store.folder().join("configs").join(image.id.hex()), b"{}").unwrap();
    assert!(
        place
            .store
            .inspect(&image.id)
            .unwrap_err()
            .to_string()
            .contains("damaged")
    );
    assert_eq!(place.store.inspect(&digest(b"x")).unwrap(), None);
}
