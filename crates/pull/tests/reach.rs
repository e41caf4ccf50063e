//! Registries that cannot be reached: an offline machine knows it at once, and why.

mod support;

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    time::Duration,
};

use agentkernel_pull::is_unreachable;
use agentkernel_types::ErrorKind;
use support::{
    Bench, everything,
    image::{Content, Layer, TestImage},
    reason, reference, request,
    server::{Answer, Server},
};

/// A port that nobody listens on, for now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it listens").port()
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told_without_a_second_try() {
    let bench = Bench::new(&[]);
    let error = bench
        .pull("registry.invalid/team/app")
        .await
        .expect_err("no such name");
    assert_eq!((reason(&error), error.kind()), ("dns", ErrorKind::Unavailable));
    assert!(is_unreachable(&error));
    assert_eq!(error.message(), "cannot resolve the registry registry.invalid");
    assert_eq!(bench.retries(), 0);
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_told_without_a_second_try() {
    let host = format!("127.0.0.1:{}", free_port());
    for insecure in [vec![], vec![host.as_str()]] {
        let bench = Bench::new(&insecure);
        let error = bench
            .pull(&format!("{host}/team/app"))
            .await
            .expect_err("nobody listens");
        assert_eq!(reason(&error), "refused", "{error:?}");
        assert!(is_unreachable(&error));
        assert!(error.message().contains(&host), "{error}");
        assert_eq!(bench.retries(), 0);
    }
}

#[tokio::test]
async fn a_host_that_does_not_answer_costs_one_connect_timeout() {
    // Its queue is full after the first few, so that a connection is never accepted.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a free port");
    let listener = socket.listen(1).expect("it listens");
    let address = listener.local_addr().expect("it listens");
    let mut held = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(
        Duration::from_millis(300),
        tokio::net::TcpStream::connect(address),
    )
    .await
    {
        held.push(stream);
        assert!(held.len() < 100, "the queue has an end");
    }
    let bench = Bench::new(&[]);
    let name = reference(&format!("{address}/team/app"));
    let mut asked = request(&name);
    asked.connect_timeout = Duration::from_millis(200);
    let error = bench
        .puller()
        .pull(&bench.store, &asked, &bench.progress())
        .await
        .expect_err("no answer");
    assert_eq!(reason(&error), "timeout", "{error:?}");
    assert!(is_unreachable(&error));
    assert_eq!(bench.retries(), 0);
}

#[tokio::test]
async fn a_listener_that_never_answers_is_not_asked_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let host = listener.local_addr().expect("it listens").to_string();
    let mut bench = Bench::new(&[&host]);
    bench.patience.stall = Duration::from_millis(200);
    let error = bench
        .pull(&format!("{host}/team/app"))
        .await
        .expect_err("no answer");
    assert_eq!(reason(&error), "timeout");
    assert_eq!(bench.retries(), 0);
}

#[tokio::test]
async fn plain_http_behind_a_tls_address_is_told_with_the_way_out() {
    // Some servers answer what they take for nonsense, some hang up.
    for answer in ["HTTP/1.1 400 Bad Request\r\n\r\n", ""] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let host = listener.local_addr().expect("it listens").to_string();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        let bench = Bench::new(&[]);
        let error = bench
            .pull(&format!("{host}/team/app"))
            .await
            .expect_err("it speaks no TLS");
        assert_eq!(reason(&error), "tls", "{error:?}");
        assert!(
            error
                .hint_text()
                .is_some_and(|hint| hint.contains("insecure = true")),
            "{error:?}"
        );
        assert!(!is_unreachable(&error));
        assert_eq!(bench.retries(), 0);
    }
}

#[tokio::test]
async fn a_registry_that_goes_away_in_the_middle_is_waited_for() {
    let image = TestImage::new(vec![Layer::new(1, 50_000)]);
    let server = Server::behaving(image.content(), |request| {
        // An answer that is none.
        (request.nth == 0).then(|| Answer::new(0, ""))
    });
    let bench = Bench::new(&[&server.host()]);
    let pulled = bench.pull(&server.image()).await;
    assert_eq!(pulled.expect("the second time").id, image.id());
}

#[tokio::test]
async fn a_disk_that_is_not_writable_is_told_as_such() {
    let image = TestImage::new(vec![Layer::new(1, 50_000)]);
    let server = Server::new(image.content());
    let bench = Bench::new(&[&server.host()]);
    std::fs::write(
        bench.folder.path().join("images"),
        "a file where the store should be",
    )
    .expect("writable");
    let error = bench.pull(&server.image()).await.expect_err("no folder");
    assert_eq!(reason(&error), "storage", "{}", everything(&error));
}

#[tokio::test]
async fn a_ca_that_is_no_certificate_is_told_before_anything_is_asked() {
    let server = Server::new(Content::new());
    for (name, text) in [
        ("none.pem", None),
        ("empty.pem", Some("")),
        ("text.pem", Some("hello")),
    ] {
        let mut bench = Bench::new(&[&server.host()]);
        let path = bench.folder.path().join(name);
        if let Some(text) = text {
            std::fs::write(&path, text).expect("writable");
        }
        let settings = bench.registries.hosts.get_mut(&server.host()).expect("set above");
        settings.ca = Some(path);
        let error = bench.pull(&server.image()).await.expect_err("no certificate");
        assert_eq!(reason(&error), "tls");
        assert!(error.message().contains(name), "{error}");
    }
    assert_eq!(server.requests().len(), 0);
}
