//! Several at once, and those who die in the middle.

#![expect(clippy::unwrap_used, reason = "a test fails with a panic")]

mod store_common;

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
};

use agentkernel_image::{Store, unpack::Limits};
use agentkernel_types::ErrorKind;
use store_common::{add, add_layer, config, digest, name, place, source, tar};

/// In the environment of a child of this test: what it is to do in which store.
const STORE: &str = "AGENTKERNEL_TEST_STORE";
const WORK: &str = "AGENTKERNEL_TEST_WORK";

/// Counts that it is read at all, and says when.
struct Watched<'a> {
    bytes: &'a [u8],
    reads: &'a AtomicUsize,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !buffer.is_empty() {
            self.reads.fetch_add(1, Ordering::SeqCst);
        }
        self.bytes.read(buffer)
    }
}

#[test]
fn a_layer_is_unpacked_once_by_many_at_the_same_time() {
    let place = place();
    let layer = tar(&[("file", &[7; 100_000])]);
    let start = Barrier::new(8);
    let readers = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let writer = place.store.writer().unwrap();
                let reads = AtomicUsize::new(0);
                let mut archive = Watched {
                    bytes: &layer,
                    reads: &reads,
                };
                start.wait();
                let added = writer
                    .add_layer(Some(&digest(&layer)), &mut archive, &Limits::default())
                    .unwrap();
                assert!(added.tree.join("file").exists());
                readers.fetch_add((reads.into_inner() > 0).into(), Ordering::SeqCst);
            });
        }
    });
    assert_eq!(readers.into_inner(), 1);
}

#[test]
fn a_layer_without_a_known_digest_is_shared_all_the_same() {
    let place = place();
    let layer = tar(&[("file", b"content")]);
    let start = Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let writer = place.store.writer().unwrap();
                let mut archive: &[u8] = &layer;
                start.wait();
                let added =
                    writer.add_layer(None, &mut archive as &mut (dyn Read + Send), &Limits::default());
                assert_eq!(added.unwrap().diff_id, digest(&layer));
            });
        }
    });
    assert_eq!(
        fs::read_dir(place.store.folder().join("layers")).unwrap().count(),
        1
    );
    assert_eq!(
        fs::read_dir(place.store.folder().join("incoming"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn images_that_come_and_go_are_whole_whenever_they_are_leased() {
    let place = place();
    let store = place
        .store
        .clone()
        .with_patience(std::time::Duration::from_secs(30));
    let layer = tar(&[("file", b"content")]);
    let id = digest(&config("a", &[&layer]));
    let leased = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..30 {
                    add(&store, "a", &[&layer], &["a"]);
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..30 {
                match store.prune(&[], true, None, false) {
                    Ok(_) => {}
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
                }
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..200 {
                    match store.lease(&id) {
                        Ok(lease) => {
                            assert!(lease.image.layers[0].tree.join("file").exists());
                            leased.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
                    }
                }
            });
        }
    });
    add(&store, "a", &[&layer], &["a"]);
    assert!(store.lease(&id).is_ok());
    assert_eq!(store.leftovers().unwrap().len(), 0);
}

/// Runs as a child of this test only.
#[test]
fn child() {
    let (Ok(store), Ok(work)) = (std::env::var(STORE), std::env::var(WORK)) else {
        return;
    };
    let store = Store::new(store);
    match work.as_str() {
        "lease" => {
            let id = store.list().unwrap().images[0].id.clone();
            let _lease = store.lease(&id).unwrap();
            say_and_wait();
        }
        "unpack" => {
            let writer = store.writer().unwrap();
            let layer = tar(&[("file", &[1; 4096])]);
            let mut archive = (&layer[..1024]).chain(Stuck);
            let _ = writer.add_layer(Some(&digest(&layer)), &mut archive, &Limits::default());
        }
        other => panic!("no work called {other}"),
    }
}

struct Stuck;

impl Read for Stuck {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        say_and_wait();
        Ok(0)
    }
}

/// Until the parent is gone or kills us.
fn say_and_wait() {
    let mut errors = io::stderr();
    errors.write_all(b"ready\n").unwrap();
    let _ = io::stdin().read(&mut [0]);
}

struct Killed(Child);

impl Killed {
    fn start(store: &Path, work: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(STORE, store)
            .env(WORK, work)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = lines.map_while(Result::ok).any(|line| line == "ready");
        assert!(ready, "the child failed to {work}");
        Self(child)
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_lease_of_another_process_holds_until_it_dies() {
    let place = place();
    let layer = tar(&[("file", b"content")]);
    add(&place.store, "a", &[&layer], &["a"]);
    let child = Killed::start(place.store.folder(), "lease");
    assert_eq!(
        place.store.remove("a", &[], true).unwrap_err().kind(),
        ErrorKind::Conflict
    );
    drop(child);
    place.store.remove("a", &[], true).unwrap();
}

#[test]
fn what_a_killed_process_leaves_is_found_only_when_it_is_dead_and_is_no_layer() {
    let place = place();
    drop(place.store.writer().unwrap());
    let child = Killed::start(place.store.folder(), "unpack");
    let incoming = place.store.folder().join("incoming");
    assert!(fs::read_dir(&incoming).unwrap().count() > 0);
    assert_eq!(place.store.leftovers().unwrap().len(), 0, "somebody works on it");
    for entry in fs::read_dir(&incoming).unwrap() {
        assert!(!place.store.sweep(&entry.unwrap().path()).unwrap());
    }
    assert_eq!(
        place.store.prune(&[], true, None, false).unwrap_err().kind(),
        ErrorKind::Conflict
    );
    drop(child);

    let layer = tar(&[("file", &[1; 4096])]);
    assert_eq!(
        place.store.writer().unwrap().layer(&digest(&layer)).unwrap(),
        None
    );
    let left = place.store.leftovers().unwrap();
    assert_eq!(left.len(), 1);
    for path in &left {
        assert!(place.store.sweep(path).unwrap());
        assert!(!place.store.sweep(path).unwrap(), "it has gone");
    }
    assert_eq!(fs::read_dir(&incoming).unwrap().count(), 0);
    assert_eq!(place.store.leftovers().unwrap().len(), 0);
}

#[test]
fn work_goes_on_where_a_killed_process_had_begun() {
    let place = place();
    drop(place.store.writer().unwrap());
    drop(Killed::start(place.store.folder(), "unpack"));
    let layer = tar(&[("file", &[1; 4096])]);
    let writer = place.store.writer().unwrap();
    let added = add_layer(&writer, &layer).unwrap();
    assert_eq!(fs::read(added.tree.join("file")).unwrap(), [1; 4096]);
    writer
        .add_image(&config("a", &[&layer]), None, &[name("a")], source())
        .unwrap();
    assert_eq!(place.store.leftovers().unwrap().len(), 0);
}

#[test]
fn only_what_lies_in_incoming_is_swept() {
    let place = place();
    drop(place.store.writer().unwrap());
    let incoming = place.store.folder().join("incoming");
    let outside = place.folder.path().join("outside");
    fs::create_dir_all(outside.join("deep")).unwrap();
    std::os::unix::fs::symlink(&outside, incoming.join("link")).unwrap();
    fs::create_dir_all(incoming.join(".trash-1/deep")).unwrap();
    fs::write(incoming.join("abc.download"), b"half").unwrap();
    for wrong in [
        outside.clone(),
        incoming.join(".."),
        incoming.clone(),
        incoming.join("link/deep"),
        "x".into(),
    ] {
        assert_eq!(
            place.store.sweep(&wrong).unwrap_err().kind(),
            ErrorKind::InvalidSpec,
            "{wrong:?}"
        );
    }
    let left = place.store.leftovers().unwrap();
    assert_eq!(left.len(), 3);
    for path in left {
        assert!(place.store.sweep(&path).unwrap(), "{path:?}");
    }
    assert!(outside.join("deep").exists());
    assert_eq!(fs::read_dir(&incoming).unwrap().count(), 0);
}
