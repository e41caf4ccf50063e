//! Who gets which credentials: only the host that they belong to, only when it asks, and never a reader of errors.

mod support;

use std::sync::{Arc, OnceLock};

use agentkernel_pull::RegistrySettings;
use agentkernel_types::ErrorKind;
use support::{
    Bench, everything,
    image::{Content, Layer, TestImage},
    reason,
    server::{Answer, Request, Server, well_behaved},
};

// ann:hidden-secret
const BASIC: &str = "Basic YW5uOmhpZGRlbi1zZWNyZXQ=";
const AUTH: &str = "YW5uOmhpZGRlbi1zZWNyZXQ=";

fn image() -> TestImage {
    TestImage::new(vec![Layer::new(1, 50_000), Layer::new(2, 5_000)])
}

fn config_for(host: &str) -> String {
    format!(r#"{{"auths":{{"{host}":{{"auth":"{AUTH}"}}}}}}"#)
}

fn wants(challenge: impl Into<String>) -> Answer {
    let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
    Answer::new(401, body).with("WWW-Authenticate", challenge)
}

/// Serves to those who send exactly this.
fn guarded(content: Content, authorization: &'static str, challenge: &'static str) -> Server {
    Server::behaving(content, move |request| {
        (request.header("authorization") != Some(authorization)).then(|| wants(challenge))
    })
}

/// A registry that wants tokens, and gives them itself under `/token`. `grant` judges a request for one.
fn with_tokens(
    content: Content,
    grant: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
) -> Server {
    let host = Arc::new(OnceLock::new());
    let own = Arc::clone(&host);
    let server = Server::behaving(content, move |request| {
        if request.path.starts_with("/token") {
            return Some(grant(request).unwrap_or_else(|| Answer::new(401, "")));
        }
        let realm = format!(
            r#"Bearer realm="http://{}/token",service="test registry""#,
            host.get().expect("set")
        );
        (request.header("authorization") != Some("Bearer granted")).then(|| wants(realm))
    });
    own.set(server.host()).expect("once");
    server
}

fn token(text: &str) -> Option<Answer> {
    Some(Answer::new(200, text))
}

#[tokio::test]
async fn nobody_asks_and_nothing_is_sent() {
    let server = Server::new(image().content());
    let bench = Bench::new(&[&server.host()]).with_config(&config_for(&server.host()));
    bench.pull(&server.image()).await.expect("open to all");
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
    let agent = format!("agentkernel/{}", env!("CARGO_PKG_VERSION"));
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.header("user-agent") == Some(&agent))
    );
}

#[tokio::test]
async fn basic_credentials_open_the_registry_that_they_are_for() {
    let server = guarded(image().content(), BASIC, "Basic realm=\"test\"");
    let bench = Bench::new(&[&server.host()]).with_config(&config_for(&server.host()));
    bench.pull(&server.image()).await.expect("the right credentials");
    // Once asked, not asked again.
    assert_eq!(server.count("manifests/latest"), 2);
    assert_eq!(server.count(&image().first_layer()), 1);
}

#[tokio::test]
async fn no_credentials_are_told_apart_from_wrong_ones() {
    let server = guarded(image().content(), "Basic bm9ib2R5", "Basic realm=\"test\"");
    let bench = Bench::new(&[&server.host()]);
    let error = bench.pull(&server.image()).await.expect_err("no credentials");
    assert_eq!((reason(&error), error.kind()), ("auth", ErrorKind::Denied));
    assert!(error.message().contains("wants credentials"), "{error}");
    assert!(
        error
            .hint_text()
            .is_some_and(|hint| hint.contains("docker login")),
        "{error:?}"
    );

    let bench = bench.with_config(&config_for(&server.host()));
    let error = bench.pull(&server.image()).await.expect_err("wrong credentials");
    assert_eq!(reason(&error), "auth");
    assert!(error.message().contains("does not accept"), "{error}");
    assert!(error.message().contains("(authentication required)"), "{error}");
    let all = everything(&error);
    assert!(!all.contains("hidden") && !all.contains(AUTH), "{all}");
    // Two for each pull at most: without and with credentials.
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn another_registrys_credentials_are_never_sent() {
    let server = guarded(image().content(), BASIC, "Basic realm=\"test\"");
    for key in [
        "127.0.0.1",
        "127.0.0.1:1",
        "docker.io",
        "localhost",
        "https://127.0.0.1",
    ] {
        let bench = Bench::new(&[&server.host()]).with_config(&config_for(key));
        let error = bench.pull(&server.image()).await.expect_err("no credentials");
        assert_eq!(reason(&error), "auth");
    }
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
}

#[tokio::test]
async fn a_token_is_fetched_with_its_scope_and_used_for_everything() {
    let image = image();
    for body in [
        r#"{"token":"granted"}"#,
        r#"{"access_token":"granted","expires_in":60}"#,
    ] {
        let server = with_tokens(image.content(), move |_| token(body));
        let bench = Bench::new(&[&server.host()]);
        bench.pull(&server.image()).await.expect("a token for anybody");
        let requests = server.requests();
        let asked: Vec<_> = requests
            .iter()
            .filter(|request| request.path.starts_with("/token"))
            .collect();
        let [asked] = asked[..] else {
            panic!("one token is enough: {asked:?}")
        };
        assert_eq!(
            asked.path,
            "/token?service=test+registry&scope=repository%3Ateam%2Fapp%3Apull"
        );
        assert_eq!(asked.header("authorization"), None);
        assert_eq!(server.count("manifests/latest"), 2);
    }
}

#[tokio::test]
async fn credentials_are_exchanged_for_a_token() {
    let server = with_tokens(image().content(), |request| {
        (request.header("authorization") == Some(BASIC)).then(|| Answer::new(200, r#"{"token":"granted"}"#))
    });
    let bench = Bench::new(&[&server.host()]).with_config(&config_for(&server.host()));
    bench.pull(&server.image()).await.expect("the right credentials");
    // The registry itself sees the token only.
    let sent = server.requests();
    let direct = sent.iter().filter(|request| request.path.starts_with("/v2/"));
    assert!(
        direct
            .filter_map(|request| request.header("authorization"))
            .all(|sent| sent == "Bearer granted")
    );
}

#[tokio::test]
async fn an_identity_token_is_exchanged_in_a_body_that_no_redirect_takes_along() {
    let other = Server::new(Content::new());
    let target = other.host();
    let config = |host: &str| format!(r#"{{"auths":{{"{host}":{{"identitytoken":"hidden&identity"}}}}}}"#);
    let server = with_tokens(image().content(), |request| {
        let right = request.method == "POST"
            && request.body.contains("grant_type=refresh_token")
            && request.body.contains("scope=repository%3Ateam%2Fapp%3Apull")
            && request.body.contains("refresh_token=hidden%26identity");
        right.then(|| Answer::new(200, r#"{"access_token":"granted"}"#))
    });
    let bench = Bench::new(&[&server.host()]).with_config(&config(&server.host()));
    bench.pull(&server.image()).await.expect("the right token");

    let server = with_tokens(image().content(), move |_| {
        Some(Answer::new(307, "").with("Location", format!("http://{target}/token")))
    });
    let bench = Bench::new(&[&server.host()]).with_config(&config(&server.host()));
    let error = bench.pull(&server.image()).await.expect_err("no token");
    assert_eq!(other.requests().len(), 0);
    assert!(!everything(&error).contains("hidden"));
}

#[tokio::test]
async fn an_expired_token_is_replaced_in_the_middle() {
    let image = image();
    let (content, layer) = (image.content(), image.first_layer());
    let host = Arc::new(OnceLock::<String>::new());
    let own = Arc::clone(&host);
    let server = Server::behaving(content, move |request| {
        if request.path.starts_with("/token") {
            return token(&format!(r#"{{"token":"number-{}"}}"#, request.nth));
        }
        let sent = request.header("authorization").unwrap_or_default();
        let valid = if request.key() == layer {
            "Bearer number-1"
        } else {
            "Bearer number-"
        };
        let realm = format!(r#"Bearer realm="http://{}/token""#, host.get().expect("set"));
        (!sent.starts_with(valid)).then(|| wants(realm))
    });
    own.set(server.host()).expect("once");
    let bench = Bench::new(&[&server.host()]);
    bench.pull(&server.image()).await.expect("a new token");
    let tokens = server
        .requests()
        .iter()
        .filter(|request| request.path.starts_with("/token"))
        .count();
    assert_eq!(tokens, 2);
    assert_eq!(
        server.count(&image.first_layer()),
        2,
        "once with the old token and once with the new one"
    );
}

#[tokio::test]
async fn credentials_do_not_go_to_a_token_server_without_tls() {
    let thief = Server::behaving(Content::new(), |_| token(r#"{"token":"granted"}"#));
    let realm = format!(r#"Bearer realm="http://{}/token""#, thief.host());
    let server = Server::behaving(image().content(), move |request| {
        (request.header("authorization") != Some("Bearer granted")).then(|| wants(realm.clone()))
    });
    let bench = Bench::new(&[&server.host()]).with_config(&config_for(&server.host()));
    let error = bench.pull(&server.image()).await.expect_err("it is not safe");
    assert_eq!(reason(&error), "auth");
    assert!(
        error.hint_text().is_some_and(|hint| hint.contains(&thief.host())),
        "{error:?}"
    );
    assert_eq!(thief.requests().len(), 0);
    // Nobody's credentials can be sent there, and a user may say that it is meant.
    Bench::new(&[&server.host()])
        .pull(&server.image())
        .await
        .expect("nothing to lose");
    assert!(
        thief
            .requests()
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
    let meant = Bench::new(&[&server.host(), &thief.host()]).with_config(&config_for(&server.host()));
    meant.pull(&server.image()).await.expect("as the user says");
}

#[tokio::test]
async fn token_servers_that_are_no_addresses_are_refused() {
    for realm in [
        "",
        "file:///etc/passwd",
        "/token",
        "ftp://x/",
        "http://",
        "data:x",
        "http://[::1",
    ] {
        let challenge = format!("Bearer realm=\"{realm}\"");
        let server = Server::behaving(image().content(), move |_| Some(wants(challenge.clone())));
        let error = Bench::new(&[&server.host()])
            .pull(&server.image())
            .await
            .expect_err("no token");
        assert_eq!(reason(&error), "auth", "{realm}: {error}");
    }
}

#[tokio::test]
async fn a_redirect_to_another_host_takes_no_credentials_along() {
    let image = image();
    let stored = image.content();
    let storage = Server::behaving(Content::new(), move |request| {
        let mut plain = request.clone();
        plain.path = request.path.split('?').next().unwrap_or_default().to_owned();
        Some(well_behaved(&stored, &plain))
    });
    let (target, content) = (storage.host(), image.content());
    let server = Server::behaving(Content::new(), move |request| {
        if request.header("authorization") != Some(BASIC) {
            return Some(wants("Basic realm=\"test\""));
        }
        if request.key().starts_with("manifests/") {
            return Some(well_behaved(&content, request));
        }
        let location = format!("http://{target}/signed/{}?signature=1", request.key());
        Some(Answer::new(307, "").with("Location", location))
    });
    let bench = Bench::new(&[&server.host()]).with_config(&config_for(&server.host()));
    bench.pull(&server.image()).await.expect("redirects are followed");
    assert_eq!(storage.requests().len(), 3);
    for request in storage.requests() {
        assert_eq!(request.header("authorization"), None);
        assert_eq!(request.header("referer"), None);
    }
}

#[tokio::test]
async fn redirects_without_end_are_refused() {
    let server = Server::behaving(Content::new(), |request| {
        Some(Answer::new(302, "").with("Location", format!("{}x", request.path)))
    });
    let error = Bench::new(&[&server.host()])
        .pull(&server.image())
        .await
        .expect_err("no end");
    assert_eq!(reason(&error), "protocol");
    assert!(server.requests().len() < 10);
}

#[tokio::test]
async fn a_mirror_goes_first_and_its_failures_are_not_the_end() {
    let image = image();
    let origin = Server::new(image.content());
    let broken = Server::behaving(Content::new(), |_| Some(Answer::new(404, "")));
    let good = Server::new(image.content());
    let settings = |mirrors: Vec<String>| RegistrySettings {
        insecure: true,
        mirrors,
        ..RegistrySettings::default()
    };
    let mut bench = Bench::new(&[&broken.host(), &good.host()]);
    let mirrors = vec![
        "127.0.0.1:1".to_owned(),
        broken.host(),
        format!("{}/cache", good.host()),
    ];
    bench.registries.hosts.insert(origin.host(), settings(mirrors));
    let bench = bench.with_config(&config_for(&origin.host()));
    bench
        .pull(&origin.image())
        .await
        .expect("the third mirror has it");
    assert_eq!(origin.requests().len(), 0);
    assert_eq!(good.requests()[0].path, "/v2/cache/team/app/manifests/latest");

    // A mirror that has the manifest, but not the layers.
    let (content, lie) = (image.content(), image.first_layer());
    let half = Server::behaving(image.content(), move |request| {
        if request.key() == lie {
            return Some(Answer::new(404, ""));
        }
        Some(well_behaved(&content, request))
    });
    let mut bench = Bench::new(&[&half.host()]);
    bench
        .registries
        .hosts
        .insert(origin.host(), settings(vec![half.host()]));
    bench
        .pull(&origin.image())
        .await
        .expect("the registry itself has it");
    assert_eq!(origin.count(&image.first_layer()), 1);
    assert_eq!(origin.requests().len(), 1);
}
