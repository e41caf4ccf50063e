//! What the environment says: credential helpers, credential files, proxies, a disk that is full.

mod support;

use std::{
    fs, io::Read as _, net::TcpListener, os::unix::fs::PermissionsExt as _, path::Path, process::Command,
};

use support::{
    Bench, child,
    image::{Content, Layer, TestImage},
    real::missing,
    server::{Answer, Server},
};

// ann:hidden-secret
const BASIC: &str = "Basic YW5uOmhpZGRlbi1zZWNyZXQ=";

fn image() -> TestImage {
    TestImage::new(vec![Layer::new(1, 50_000), Layer::new(2, 5_000)])
}

fn wants() -> Answer {
    Answer::new(401, "").with("WWW-Authenticate", "Basic realm=\"test\"")
}

/// Serves to those who have the password.
fn guarded(content: Content) -> Server {
    Server::behaving(content, |request| {
        (request.header("authorization") != Some(BASIC)).then(wants)
    })
}

#[test]
#[ignore = "started by other tests"]
fn the_child_of_another_test() {
    child::run();
}

fn helper(folder: &Path, script: &str) -> String {
    let path = folder.join("docker-credential-test");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
    format!(
        "{}:{}",
        folder.display(),
        std::env::var("PATH").unwrap_or_default()
    )
}

fn pull_with_helper(server: &Server, script: &str) -> (String, String) {
    let bench = Bench::new(&[&server.host()]);
    let path = helper(bench.folder.path(), script);
    let config = bench.folder.path().join("helped.json");
    fs::write(&config, r#"{"credsStore":"test"}"#).expect("writable");
    let config = config.to_string_lossy().into_owned();
    let seen = bench.folder.path().join("seen");
    let environment = [
        ("PATH", path.as_str()),
        ("PULL_TEST_CONFIG", config.as_str()),
        ("SEEN", &seen.to_string_lossy()),
    ];
    let output = child::command(&bench, &server.image(), &environment)
        .output()
        .expect("our own program");
    (
        child::verdict(&output),
        fs::read_to_string(seen).unwrap_or_default(),
    )
}

#[test]
fn a_helper_is_asked_for_the_registry_on_its_stdin() {
    let server = guarded(image().content());
    let script = r#"{ echo "$@"; cat; } > "$SEEN"; echo '{"Username":"ann","Secret":"hidden-secret"}'"#;
    let (verdict, seen) = pull_with_helper(&server, script);
    assert_eq!(verdict, format!("ok {}", image().id()));
    assert_eq!(seen, format!("get\n{}", server.host()));
}

#[test]
fn a_helper_that_fails_or_floods_is_no_more_than_no_credentials() {
    let server = guarded(image().content());
    for script in [
        "exit 3",
        "echo 'credentials not found in native keychain'; exit 1",
        "yes hidden",
        "echo nonsense",
    ] {
        let (verdict, _) = pull_with_helper(&server, script);
        assert!(verdict.starts_with("auth "), "{script}: {verdict}");
        assert!(!verdict.contains("hidden"), "{script}: {verdict}");
    }
}

#[test]
fn the_usual_files_are_found_by_the_environment() {
    let server = guarded(image().content());
    let config = format!(
        r#"{{"auths":{{"{}":{{"username":"ann","password":"hidden-secret"}}}}}}"#,
        server.host()
    );
    let cases = [
        ("REGISTRY_AUTH_FILE", "own.json", "own.json"),
        ("DOCKER_CONFIG", "docker", "docker/config.json"),
        ("HOME", "home", "home/.docker/config.json"),
        ("XDG_RUNTIME_DIR", "run", "run/containers/auth.json"),
    ];
    for (variable, value, file) in cases {
        let bench = Bench::new(&[&server.host()]);
        let path = bench.folder.path().join(file);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("writable");
        fs::write(&path, &config).expect("writable");
        let value = bench.folder.path().join(value).to_string_lossy().into_owned();
        let output = child::command(&bench, &server.image(), &[(variable, &value)])
            .output()
            .expect("our own program");
        assert_eq!(
            child::verdict(&output),
            format!("ok {}", image().id()),
            "{variable}"
        );
    }
}

#[test]
fn a_proxy_is_used_unless_the_registry_is_excepted() {
    let image = image();
    // The proxy forwards nothing: it answers as the registry would, and remembers it.
    let (registry, proxy) = (Server::new(image.content()), Server::new(image.content()));
    let address = format!("http://{}", proxy.host());
    let through = |environment: &[(&str, &str)]| {
        let bench = Bench::new(&[&registry.host()]);
        let output = child::command(&bench, &registry.image(), environment)
            .output()
            .expect("our own program");
        assert_eq!(child::verdict(&output), format!("ok {}", image.id()));
    };
    through(&[("HTTP_PROXY", &address)]);
    assert_eq!((registry.requests().len(), proxy.requests().len()), (0, 4));
    let whole = format!("http://{}/v2/team/app/manifests/latest", registry.host());
    assert_eq!(proxy.requests()[0].path, whole);
    through(&[("http_proxy", &address), ("NO_PROXY", "example.com,127.0.0.1")]);
    through(&[("ALL_PROXY", &address), ("no_proxy", "127.0.0.0/8")]);
    assert_eq!((registry.requests().len(), proxy.requests().len()), (8, 4));
    through(&[("all_proxy", &address), ("NO_PROXY", "example.com")]);
    assert_eq!((registry.requests().len(), proxy.requests().len()), (8, 8));
}

#[test]
fn a_registry_with_tls_is_reached_through_a_tunnel() {
    // It refuses the tunnel, which shows that it was asked for one.
    let proxy = Server::behaving(Content::new(), |_| Some(Answer::new(403, "no")));
    let bench = Bench::new(&[]);
    let address = format!("http://{}", proxy.host());
    let output = child::command(&bench, "registry.invalid/team/app", &[("HTTPS_PROXY", &address)])
        .output()
        .expect("our own program");
    let verdict = child::verdict(&output);
    assert!(
        verdict.starts_with("refused the proxy does not connect to registry.invalid"),
        "{verdict}"
    );
    let asked = proxy.requests();
    assert_eq!(
        (asked[0].method.as_str(), asked[0].path.as_str()),
        ("CONNECT", "registry.invalid:443")
    );
}

#[test]
fn docker_hub_does_not_tell_what_exists() {
    // The proxy stands in for it.
    let hub = Server::behaving(Content::new(), |_| Some(wants()));
    let bench = Bench::new(&["docker.io"]);
    let address = format!("http://{}", hub.host());
    let output = child::command(&bench, "nobody/nothing", &[("HTTP_PROXY", &address)])
        .output()
        .expect("our own program");
    let expected = "not_found nobody/nothing:latest does not exist on docker.io, or it is private";
    assert_eq!(child::verdict(&output), expected);
    assert_eq!(
        hub.requests()[0].path,
        "http://registry-1.docker.io/v2/nobody/nothing/manifests/latest"
    );
}

#[test]
fn a_socks_proxy_is_spoken_to_in_its_own_words() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("socks5h://{}", listener.local_addr().expect("it listens"));
    let greeting = std::thread::spawn(move || {
        let mut greeting = [0; 2];
        let (mut stream, _) = listener.accept().expect("somebody comes");
        stream.read_exact(&mut greeting).expect("a greeting");
        greeting[0]
    });
    let bench = Bench::new(&[]);
    let output = child::command(&bench, "registry.invalid/team/app", &[("ALL_PROXY", &address)])
        .output()
        .expect("our own program");
    assert_eq!(greeting.join().expect("no panic"), 5);
    assert!(!child::verdict(&output).starts_with("ok"));
}

#[test]
fn a_full_disk_is_told_as_such() {
    if missing(&["unshare"]) {
        return;
    }
    let image = TestImage::new(vec![Layer::new(1, 3_000_000)]);
    let server = Server::new(image.content());
    let bench = Bench::new(&[&server.host()]);
    let images = bench.folder.path().join("images");
    fs::create_dir(&images).expect("writable");
    let own = child::command(&bench, &server.image(), &[]);
    let mut command = Command::new("unshare");
    // A small disk in a mount namespace of its own.
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    command
        .arg("mount -t tmpfs -o size=1m,mode=0700 none \"$0\" && exec \"$@\"")
        .arg(&images)
        .arg(own.get_program());
    command.args(own.get_args());
    command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().expect("it is installed");
    let error = String::from_utf8_lossy(&output.stderr);
    if error.contains("unshare failed") || error.contains("permission denied") {
        println!("skipped: no mount namespaces here: {error}");
        return;
    }
    let verdict = child::verdict(&output);
    assert!(
        verdict.starts_with("storage cannot write a download"),
        "{verdict}"
    );
}

#[test]
fn wrong_credentials_for_docker_hub_are_told_as_such() {
    // The proxy stands in for it, and for its token server.
    let hub = Server::behaving(Content::new(), |request| {
        let realm = r#"Bearer realm="http://docker.io/token""#;
        let token = request.path.contains("/token");
        Some(if token {
            Answer::new(401, "")
        } else {
            Answer::new(401, "").with("WWW-Authenticate", realm)
        })
    });
    let bench = Bench::new(&["docker.io"]);
    let path = bench.folder.path().join("own.json");
    fs::write(
        &path,
        r#"{"auths":{"https://index.docker.io/v1/":{"username":"ann","password":"wrong"}}}"#,
    )
    .expect("writable");
    let environment = [
        ("HTTP_PROXY", format!("http://{}", hub.host())),
        ("PULL_TEST_CONFIG", path.display().to_string()),
    ];
    let environment = environment
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let output = child::command(&bench, "ann/private", &environment)
        .output()
        .expect("our own program");
    let expected = "auth the registry docker.io does not accept the credentials for ann/private:latest";
    assert_eq!(child::verdict(&output), expected);
}
