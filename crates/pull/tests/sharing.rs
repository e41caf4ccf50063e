//! Several that want the same, and some that are stopped in the middle.

mod support;

use std::{
    process::Child,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use agentkernel_pull::{Progress, Pull};
use agentkernel_types::{ImageEvent, LayerState};
use support::{
    Bench, child,
    image::{Layer, TestImage},
    reference, request,
    server::{Answer, Body, Server},
};

const SIZE: usize = 600_000;

fn image() -> TestImage {
    TestImage::new(vec![
        Layer::new(1, SIZE),
        Layer::new(2, 5_000),
        Layer::new(3, 5_000),
    ])
}

/// Polls until it is so, for a minute.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < end, "{what} did not happen");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
#[ignore = "started by other tests"]
fn the_child_of_another_test() {
    child::run();
}

/// Whoever is first waits in the middle of the first layer until the other one is at it, too.
fn held_server(image: &TestImage) -> (Server, Arc<AtomicBool>) {
    let key = image.first_layer();
    let (content, go) = (image.content(), Arc::new(AtomicBool::new(false)));
    let wait = Arc::clone(&go);
    let server = Server::behaving(content, move |request| {
        if request.key() == key {
            until("the second one", || wait.load(Ordering::Relaxed));
        }
        None
    });
    (server, go)
}

#[tokio::test]
async fn two_tasks_download_each_layer_once() {
    let image = image();
    let (server, go) = held_server(&image);
    let bench = Bench::new(&[&server.host()]);
    let told = bench.progress();
    // The second one waits: then the first may go on.
    let progress: Progress = Arc::new(move |event| {
        if matches!(
            event,
            ImageEvent::Layer {
                state: LayerState::Waiting,
                ..
            }
        ) {
            go.store(true, Ordering::Relaxed);
        }
        told(event);
    });
    let name = reference(&server.image());
    let asked = request(&name);
    let (one, other) = (bench.puller(), bench.puller());
    let (one, other) = tokio::join!(
        one.pull(&bench.store, &asked, &progress),
        other.pull(&bench.store, &asked, &progress)
    );
    assert_eq!(one.expect("a good registry").id, image.id());
    assert_eq!(other.expect("a good registry").id, image.id());
    for layer in &image.layers {
        assert_eq!(server.count(&format!("blobs/{}", layer.digest())), 1);
    }
    assert!(bench.incoming().is_empty());
}

#[test]
fn two_processes_download_each_layer_once() {
    let image = image();
    let (server, go) = held_server(&image);
    let bench = Bench::new(&[&server.host()]);
    let children: Vec<Child> = (0..2).map(|_| child::spawn(&bench, &server.image())).collect();
    until("both at work", || {
        server.count("manifests/latest") == 2 && server.count(&image.first_layer()) > 0
    });
    go.store(true, Ordering::Relaxed);
    for child in children {
        let output = child.wait_with_output().expect("our own child");
        assert_eq!(child::verdict(&output), format!("ok {}", image.id()));
    }
    for layer in &image.layers {
        assert_eq!(server.count(&format!("blobs/{}", layer.digest())), 1);
    }
    assert!(bench.incoming().is_empty());
}

/// Fifteen points over the length of a layer.
fn stop_at(length: usize, point: usize) -> usize {
    length * (2 * point + 1) / 32
}

#[test]
fn a_killed_pull_is_gone_on_with_at_every_point() {
    let image = image();
    let (key, whole) = (image.first_layer(), image.layers[0].compressed.clone());
    let bytes = whole.clone();
    let server = Server::behaving(image.content(), move |request| {
        // Two requests for each point: the first one hangs.
        let at = stop_at(bytes.len(), request.nth / 2);
        let first = request.key() == key && request.nth % 2 == 0;
        first.then(|| Answer::new(200, "").body(Body::Stalled(bytes.clone(), at)))
    });
    for point in 0..15 {
        let bench = Bench::new(&[&server.host()]);
        let mut child = child::spawn(&bench, &server.image());
        let at = stop_at(whole.len(), point) as u64;
        let file = bench.folder.path().join(format!(
            "images/incoming/{}.download",
            image.layers[0].digest().hex()
        ));
        until("a part of the layer", || {
            std::fs::metadata(&file).is_ok_and(|found| found.len() >= at)
        });
        child.kill().expect("our own child");
        child.wait().expect("our own child");
        let output = child::spawn(&bench, &server.image())
            .wait_with_output()
            .expect("our own child");
        assert_eq!(
            child::verdict(&output),
            format!("ok {}", image.id()),
            "point {point}"
        );
        assert!(!file.exists());
        let requests = server.requests();
        let last = requests
            .iter()
            .rev()
            .find(|request| request.key() == image.first_layer());
        let range = last.and_then(|request| request.header("range"));
        assert_eq!(range, Some(format!("bytes={at}-").as_str()), "point {point}");
    }
}

#[tokio::test]
async fn a_dropped_pull_stops_and_leaves_what_the_next_one_goes_on_with() {
    let image = image();
    let (key, bytes) = (image.first_layer(), image.layers[0].compressed.clone());
    let server = Server::behaving(image.content(), move |request| {
        let first = request.key() == key && request.nth == 0;
        first.then(|| Answer::new(200, "").body(Body::Stalled(bytes.clone(), 300_000)))
    });
    let bench = Bench::new(&[&server.host()]);
    let file = bench.folder.path().join(format!(
        "images/incoming/{}.download",
        image.layers[0].digest().hex()
    ));
    {
        let name = server.image();
        let pulling = bench.pull(&name);
        let there = async {
            let end = Instant::now() + Duration::from_secs(60);
            while !std::fs::metadata(&file).is_ok_and(|found| found.len() == 300_000) {
                assert!(Instant::now() < end, "the first part did not come");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            pulled = pulling => panic!("it hangs: {:?}", pulled.map(|image| image.id)),
            () = there => {}
        }
    }
    assert_eq!(std::fs::metadata(&file).expect("it stays").len(), 300_000);
    bench.pull(&server.image()).await.expect("the rest");
    let requests = server.requests();
    let ranges: Vec<_> = requests
        .iter()
        .filter(|request| request.key() == image.first_layer())
        .map(|request| request.header("range"))
        .collect();
    assert_eq!(ranges, [None, Some("bytes=300000-")]);
}

#[tokio::test]
async fn a_pull_can_be_spawned() {
    let image = image();
    let server = Server::new(image.content());
    let bench = Bench::new(&[&server.host()]);
    let (puller, store, progress) = (bench.puller(), bench.store.clone(), bench.progress());
    let name = reference(&server.image());
    let pulled = tokio::spawn(async move {
        let asked: Pull<'_> = request(&name);
        puller.pull(&store, &asked, &progress).await
    });
    assert_eq!(
        pulled.await.expect("no panic").expect("a good registry").id,
        image.id()
    );
}
