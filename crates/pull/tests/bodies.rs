//! A registry that breaks off, lies, floods and stalls: nothing wrong gets in, and what can be had is had.

mod support;

use std::{path::Path, time::Duration};

use agentkernel_image::{Error, Image};
use agentkernel_pull::is_unreachable;
use agentkernel_types::{ErrorKind, ImageEvent, LayerState};
use support::{
    Bench,
    image::{Layer, TestImage},
    reason,
    server::{Answer, Body, Request, Server},
};

const SIZE: usize = 300_000;

fn image() -> TestImage {
    TestImage::new(vec![Layer::new(1, SIZE), Layer::new(2, 5_000)])
}

/// A bench, and a server that treats the first layer in its own way.
fn with_first_layer(
    image: &TestImage,
    behave: impl Fn(&Request, &[u8]) -> Option<Answer> + Send + Sync + 'static,
) -> (Bench, Server) {
    let (key, bytes) = (image.first_layer(), image.layers[0].compressed.clone());
    let server = Server::behaving(image.content(), move |request| {
        if request.key() == key {
            behave(request, &bytes)
        } else {
            None
        }
    });
    (Bench::new(&[&server.host()]), server)
}

fn refused(pulled: Result<Image, Error>) -> Error {
    pulled.map(|image| image.id).expect_err("it must not be accepted")
}

fn assert_complete(bench: &Bench, image: &TestImage, pulled: &Image) {
    assert_eq!(pulled.id, image.id());
    assert_eq!(pulled.manifest, Some(image.digest()));
    for (layer, pulled) in image.layers.iter().zip(&pulled.layers) {
        assert_eq!(pulled.diff_id, layer.diff_id);
        assert!(pulled.tree.is_dir());
    }
    assert_eq!(bench.incoming(), [] as [&Path; 0]);
}

#[tokio::test]
async fn an_image_comes_whole_and_its_events_in_order() {
    let image = image();
    let server = Server::new(image.content());
    let bench = Bench::new(&[&server.host()]);
    let pulled = bench.pull(&server.image()).await.expect("a good registry");
    assert_complete(&bench, &image, &pulled);
    let events = bench.events();
    assert!(matches!(events.first(), Some(ImageEvent::Asking { source, .. }) if *source == server.host()));
    assert!(matches!(&events[1], ImageEvent::Found { layers, .. } if layers.len() == 2));
    assert!(matches!(events.last(), Some(ImageEvent::Ready { id, .. }) if *id == image.id()));
    let of_first: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            ImageEvent::Layer { digest, state } if *digest == image.layers[0].digest() => Some(*state),
            _ => None,
        })
        .collect();
    let total = image.layers[0].compressed.len() as u64;
    assert_eq!(
        of_first.first(),
        Some(&LayerState::Downloading { bytes: 0, total })
    );
    let end = [
        LayerState::Downloading { bytes: total, total },
        LayerState::Unpacking,
        LayerState::Done,
    ];
    assert_eq!(of_first[of_first.len() - 3..], end);
}

#[tokio::test]
async fn a_second_pull_downloads_no_layer() {
    let image = image();
    let server = Server::new(image.content());
    let bench = Bench::new(&[&server.host()]);
    bench.pull(&server.image()).await.expect("a good registry");
    bench.pull(&server.image()).await.expect("a good registry");
    for layer in &image.layers {
        assert_eq!(server.count(&format!("blobs/{}", layer.digest())), 1);
    }
    let present = |event: &ImageEvent| {
        matches!(
            event,
            ImageEvent::Layer {
                state: LayerState::Present,
                ..
            }
        )
    };
    assert_eq!(bench.events().iter().filter(|event| present(event)).count(), 2);
}

#[tokio::test]
async fn a_layer_that_occurs_twice_is_downloaded_once() {
    let image = TestImage::new(vec![
        Layer::new(1, 5_000),
        Layer::new(2, 5_000),
        Layer::new(1, 5_000),
    ]);
    let server = Server::new(image.content());
    let bench = Bench::new(&[&server.host()]);
    let pulled = bench.pull(&server.image()).await.expect("a good registry");
    assert_eq!(pulled.layers.len(), 3);
    assert_eq!(server.count(&image.first_layer()), 1);
}

#[tokio::test]
async fn a_body_that_is_cut_is_gone_on_with_from_there() {
    let image = image();
    let (bench, server) = with_first_layer(&image, |request, bytes| {
        let cut = [1_000, 100_000, 150_000].get(request.nth)?;
        let from = request
            .header("range")
            .map_or(0, |range| range[6..range.len() - 1].parse().expect("a number"));
        let answer = Answer::new(if from == 0 { 200 } else { 206 }, "");
        let answer = match from {
            0 => answer,
            from => answer.with(
                "Content-Range",
                format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len()),
            ),
        };
        Some(answer.body(Body::Cut(bytes[from..].to_vec(), cut - from)))
    });
    let pulled = bench
        .pull(&server.image())
        .await
        .expect("four attempts are enough");
    assert_complete(&bench, &image, &pulled);
    let key = image.first_layer();
    let ranges: Vec<_> = server
        .requests()
        .iter()
        .filter(|request| request.key() == key)
        .map(|request| request.header("range").map(str::to_owned))
        .collect();
    let range = |from: &str| Some(format!("bytes={from}-"));
    assert_eq!(ranges, [None, range("1000"), range("100000"), range("150000")]);
}

#[tokio::test]
async fn a_server_that_ignores_ranges_starts_again() {
    let image = image();
    let (bench, server) = with_first_layer(&image, |request, bytes| {
        let answer = Answer::new(200, bytes);
        Some(if request.nth == 0 {
            answer.body(Body::Cut(bytes.to_vec(), 70_000))
        } else {
            answer
        })
    });
    let pulled = bench
        .pull(&server.image())
        .await
        .expect("the second answer is whole");
    assert_complete(&bench, &image, &pulled);
}

#[tokio::test]
async fn a_range_that_begins_elsewhere_is_not_taken() {
    let image = image();
    let (bench, server) = with_first_layer(&image, |request, bytes| match request.nth {
        0 => Some(Answer::new(200, "").body(Body::Cut(bytes.to_vec(), 70_000))),
        1 => Some(Answer::new(206, &bytes[50_000..]).with("Content-Range", "bytes 50000-299999/300000")),
        _ => None,
    });
    let pulled = bench.pull(&server.image()).await.expect("it starts again");
    assert_complete(&bench, &image, &pulled);
}

#[tokio::test]
async fn a_rest_that_does_not_fit_to_the_beginning_is_fetched_anew() {
    let image = image();
    let server = Server::new(image.content());
    let bench = Bench::new(&[&server.host()]);
    let incoming = bench.folder.path().join("images/incoming");
    std::fs::create_dir_all(&incoming).expect("writable");
    let left = incoming.join(format!("{}.download", image.layers[0].digest().hex()));
    for length in [
        1,
        4096,
        image.layers[0].compressed.len(),
        image.layers[0].compressed.len() + 10,
    ] {
        std::fs::write(&left, vec![0; length]).expect("writable");
        let pulled = bench.pull(&server.image()).await.expect("zeros are no layer");
        assert_complete(&bench, &image, &pulled);
        std::fs::remove_dir_all(bench.folder.path().join("images/layers")).expect("writable");
        std::fs::remove_dir_all(bench.folder.path().join("images/images")).expect("writable");
    }
}

#[tokio::test]
async fn a_complete_download_is_not_fetched_again() {
    let image = image();
    let server = Server::new(image.content());
    let bench = Bench::new(&[&server.host()]);
    let incoming = bench.folder.path().join("images/incoming");
    std::fs::create_dir_all(&incoming).expect("writable");
    let left = incoming.join(format!("{}.download", image.layers[0].digest().hex()));
    std::fs::write(left, &image.layers[0].compressed).expect("writable");
    let pulled = bench.pull(&server.image()).await.expect("a good registry");
    assert_complete(&bench, &image, &pulled);
    assert_eq!(server.count(&image.first_layer()), 0);
}

#[tokio::test]
async fn other_bytes_of_the_right_length_are_refused_once_and_for_all() {
    let image = image();
    let (bench, server) = with_first_layer(&image, |_, bytes| {
        let mut wrong = bytes.to_vec();
        wrong[100_000] ^= 1;
        Some(Answer::new(200, wrong))
    });
    let error = refused(bench.pull(&server.image()).await);
    assert_eq!(reason(&error), "digest");
    assert_eq!(server.count(&image.first_layer()), 1);
    assert!(bench.store.resolve(&server.image()).expect("readable").is_none());
}

#[tokio::test]
async fn more_or_fewer_bytes_than_the_manifest_says_are_refused() {
    let length = Layer::new(1, SIZE).compressed.len();
    for size in [1, length - 1, length + 1, length * 2] {
        let image = image().with_first_size(size);
        let server = Server::new(image.content());
        let bench = Bench::new(&[&server.host()]);
        let error = refused(bench.pull(&server.image()).await);
        assert_eq!(reason(&error), "digest", "{size}: {error}");
        // The same without a length to compare with.
        let (bench, server) = with_first_layer(&image, |_, bytes| {
            Some(Answer::new(200, "").body(Body::UntilClosed(bytes.to_vec())))
        });
        let error = refused(bench.pull(&server.image()).await);
        let expected = if size < length { "digest" } else { "protocol" };
        assert_eq!(reason(&error), expected, "{size}: {error}");
    }
}

#[tokio::test]
async fn endless_bodies_end() {
    let endless = || Answer::new(200, "").body(Body::Endless);
    let image = image();
    let (bench, server) = with_first_layer(&image, move |_, _| Some(endless()));
    assert_eq!(reason(&refused(bench.pull(&server.image()).await)), "digest");
    for kind in ["/manifests/", "/blobs/"] {
        let server = Server::behaving(image.content(), move |request| {
            request.path.contains(kind).then(endless)
        });
        let bench = Bench::new(&[&server.host()]);
        let error = refused(bench.pull(&server.image()).await);
        assert_eq!(reason(&error), "protocol", "{error}");
        assert_eq!(bench.retries(), 0);
    }
    // Also where a failure is explained without end.
    for status in [401, 403, 404, 418] {
        let server = Server::behaving(image.content(), move |_| {
            Some(Answer::new(status, "").body(Body::Endless))
        });
        let error = refused(Bench::new(&[&server.host()]).pull(&server.image()).await);
        assert!(
            matches!(reason(&error), "auth" | "not_found" | "protocol"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_stalled_body_counts_as_broken() {
    let image = image();
    let (mut bench, server) = with_first_layer(&image, |request, bytes| {
        (request.nth == 0).then(|| Answer::new(200, "").body(Body::Stalled(bytes.to_vec(), 70_000)))
    });
    bench.patience.stall = Duration::from_millis(200);
    let pulled = bench
        .pull(&server.image())
        .await
        .expect("the second answer is whole");
    assert_complete(&bench, &image, &pulled);
    let retry = |event: &ImageEvent| matches!(event, ImageEvent::Retry { reason, .. } if reason.contains("stopped sending"));
    assert!(bench.events().iter().any(retry), "{:?}", bench.events());
}

#[tokio::test]
async fn failures_that_pass_are_waited_for() {
    let image = image();
    for status in [429, 500, 502, 503] {
        let server = Server::behaving(image.content(), move |request| {
            (request.nth < 2).then(|| Answer::new(status, "busy").with("Retry-After", "0"))
        });
        let bench = Bench::new(&[&server.host()]);
        let pulled = bench
            .pull(&server.image())
            .await
            .expect("the third time is right");
        assert_complete(&bench, &image, &pulled);
        assert_eq!(
            bench.retries(),
            8,
            "two each for manifest, configuration and two layers"
        );
    }
}

#[tokio::test]
async fn failures_that_stay_are_told_after_five_attempts() {
    for (status, expected) in [(429, "rate_limit"), (500, "protocol")] {
        let server = Server::behaving(image().content(), move |_| Some(Answer::new(status, "")));
        let bench = Bench::new(&[&server.host()]);
        let error = refused(bench.pull(&server.image()).await);
        assert_eq!(reason(&error), expected);
        assert_eq!(server.count("manifests/latest"), 5);
    }
}

#[tokio::test]
async fn a_pause_that_a_registry_asks_for_is_kept_within_reason() {
    let image = image();
    let asking = |seconds: &'static str| {
        Server::behaving(image.content(), move |request| {
            (request.nth == 0).then(|| Answer::new(429, "").with("Retry-After", seconds))
        })
    };
    let server = asking("1");
    let bench = Bench::new(&[&server.host()]);
    bench.pull(&server.image()).await.expect("after a pause");
    let long = |event: &ImageEvent| matches!(event, ImageEvent::Retry { pause_ms, .. } if *pause_ms >= 1000);
    assert!(bench.events().iter().any(long));

    let server = asking("86400");
    let bench = Bench::new(&[&server.host()]);
    let error = refused(bench.pull(&server.image()).await);
    assert_eq!(
        (reason(&error), error.kind()),
        ("rate_limit", ErrorKind::Exhausted)
    );
    assert!(error.message().contains("86400"), "{error}");
    assert_eq!(bench.retries(), 0);
}

#[tokio::test]
async fn what_will_not_pass_is_not_repeated() {
    for (status, expected) in [
        (400, "protocol"),
        (401, "auth"),
        (403, "auth"),
        (404, "not_found"),
        (418, "protocol"),
    ] {
        let server = Server::behaving(image().content(), move |_| Some(Answer::new(status, "")));
        let bench = Bench::new(&[&server.host()]);
        let error = refused(bench.pull(&server.image()).await);
        assert_eq!(reason(&error), expected, "{status}");
        assert_eq!(server.count("manifests/latest"), 1, "{status}");
        assert!(!is_unreachable(&error));
    }
}
