//! Names of images: what Docker users write, and what nobody should.

use agentkernel_image::Reference;
use proptest::prelude::*;

/// Text, registry, repository, tag, digest, short form. An empty tag or digest: there is none.
#[rustfmt::skip]
const TAKEN: &[[&str; 6]] = &[
    ["alpine", "docker.io", "library/alpine", "latest", "", "alpine:latest"],
    ["alpine:3.24", "docker.io", "library/alpine", "3.24", "", "alpine:3.24"],
    ["library/alpine", "docker.io", "library/alpine", "latest", "", "alpine:latest"],
    ["docker.io/alpine", "docker.io", "library/alpine", "latest", "", "alpine:latest"],
    ["docker.io/library/alpine:3", "docker.io", "library/alpine", "3", "", "alpine:3"],
    ["index.docker.io/alpine", "docker.io", "library/alpine", "latest", "", "alpine:latest"],
    ["Docker.IO/alpine", "docker.io", "library/alpine", "latest", "", "alpine:latest"],
    ["owner/name", "docker.io", "owner/name", "latest", "", "owner/name:latest"],
    ["owner/group/name:v1", "docker.io", "owner/group/name", "v1", "", "owner/group/name:v1"],
    ["ghcr.io/owner/name", "ghcr.io", "owner/name", "latest", "", "ghcr.io/owner/name:latest"],
    ["GHCR.io/owner/name", "ghcr.io", "owner/name", "latest", "", "ghcr.io/owner/name:latest"],
    ["quay.io/name", "quay.io", "name", "latest", "", "quay.io/name:latest"],
    ["localhost/name", "localhost", "name", "latest", "", "localhost/name:latest"],
    ["localhost:5000/name", "localhost:5000", "name", "latest", "", "localhost:5000/name:latest"],
    ["localhost:5000/a/b:tag", "localhost:5000", "a/b", "tag", "", "localhost:5000/a/b:tag"],
    ["registry:5000/name", "registry:5000", "name", "latest", "", "registry:5000/name:latest"],
    ["127.0.0.1:5055/name:1", "127.0.0.1:5055", "name", "1", "", "127.0.0.1:5055/name:1"],
    ["10.0.0.1/name", "10.0.0.1", "name", "latest", "", "10.0.0.1/name:latest"],
    ["host.example:65535/n", "host.example:65535", "n", "latest", "", "host.example:65535/n:latest"],
    ["host.example:0443/n", "host.example:443", "n", "latest", "", "host.example:443/n:latest"],
    ["[::1]/name", "[::1]", "name", "latest", "", "[::1]/name:latest"],
    ["[::1]:5000/name:tag", "[::1]:5000", "name", "tag", "", "[::1]:5000/name:tag"],
    ["[2001:DB8:0::1]:443/a/b", "[2001:db8::1]:443", "a/b", "latest", "", "[2001:db8::1]:443/a/b:latest"],
    ["localhost", "docker.io", "library/localhost", "latest", "", "localhost:latest"],
    ["localhost:5000", "docker.io", "library/localhost", "5000", "", "localhost:5000"],
    ["test.com", "docker.io", "library/test.com", "latest", "", "test.com:latest"],
    ["test.com:5000", "docker.io", "library/test.com", "5000", "", "test.com:5000"],
    ["docker.io/test.com/a", "docker.io", "test.com/a", "latest", "", "docker.io/test.com/a:latest"],
    ["docker.io/localhost/a", "docker.io", "localhost/a", "latest", "", "docker.io/localhost/a:latest"],
    ["a_b", "docker.io", "library/a_b", "latest", "", "a_b:latest"],
    ["a__b", "docker.io", "library/a__b", "latest", "", "a__b:latest"],
    ["x/a.b-c_d/e---f", "docker.io", "x/a.b-c_d/e---f", "latest", "", "x/a.b-c_d/e---f:latest"],
    ["foo_bar.com:8080", "docker.io", "library/foo_bar.com", "8080", "", "foo_bar.com:8080"],
    ["name:Tag_1.0-RC", "docker.io", "library/name", "Tag_1.0-RC", "", "name:Tag_1.0-RC"],
    ["name:_x", "docker.io", "library/name", "_x", "", "name:_x"],
    ["0/1:2", "docker.io", "0/1", "2", "", "0/1:2"],
    ["xn--n3h.com/name", "xn--n3h.com", "name", "latest", "", "xn--n3h.com/name:latest"],
    ["name@{d}", "docker.io", "library/name", "", "{d}", "name@{d}"],
    ["name:1@{d}", "docker.io", "library/name", "1", "{d}", "name:1@{d}"],
    ["h.io:5/n:1@{d}", "h.io:5", "n", "1", "{d}", "h.io:5/n:1@{d}"],
    ["[::1]:5/n@{d}", "[::1]:5", "n", "", "{d}", "[::1]:5/n@{d}"],
];

#[rustfmt::skip]
const REFUSED: &[&str] = &[
    "", " ", ":", "@", "/", "//", ".", "..", "-", "_",
    " alpine", "alpine ", "al pine", "alpine\n", "alpine\0", "alp\u{456}ne", "alpine:\u{e9}t\u{e9}", "\u{2603}.com/a",
    "Alpine", "owner/Name", "Owner/name", "docker.io/Owner/name", "ghcr.io/Owner/name",
    "alpine:", "alpine::1", "alpine:1:2", "alpine:.1", "alpine:-1", "alpine:a+b", "alpine:a b", "alpine:a/b:",
    ":latest", "@{d}", "/alpine", "alpine/", "a//b", "a/./b", "a/../b", "../a", "ghcr.io/", "ghcr.io//a", "docker.io/",
    "-a", "a-", "_a", "a_", ".a", "a.", "a___b", "a..b", "a._b", "a.-b", "a/-b", "a/b-",
    "http://ghcr.io/a", "https://ghcr.io/a", "docker://alpine", "ghcr.io/a?b=c", "ghcr.io/a#b", "user@ghcr.io/a", "a\\b", "a%2fb",
    "ghcr.io:/a", "ghcr.io:0/a", "ghcr.io:65536/a", "ghcr.io:99999999999/a", "ghcr.io:+80/a", "ghcr.io:8o/a", "ghcr.io:80:80/a",
    ".ghcr.io/a", "ghcr..io/a", "ghcr.io./a", "-ghcr.io/a", "ghcr-.io/a", "gh_cr.io/a", "*.io/a",
    "[::1/a", "::1/a", "[]/a", "[::1]", "[::g]/a", "[::1%eth0]/a", "[127.0.0.1]/a", "[::1]5000/a", "[::1]:/a", "[::1]x:5/a",
    "a@sha256:", "a@sha256:abc", "a@{d}0", "a@{d}@{d}", "a@{d}:tag", "a@sha512:{h}{h}", "a@md5:{h}", "a@{h}", "a@SHA256:{h}", "a@sha256:{H}",
    "{h}", "library/{h}",
];

fn fill(text: &str) -> String {
    text.replace("{d}", "sha256:{h}")
        .replace("{h}", &"a".repeat(64))
        .replace("{H}", &"A".repeat(64))
}

#[test]
fn names_are_read_as_docker_users_mean_them() {
    for [text, registry, repository, tag, digest, familiar] in TAKEN {
        let text = fill(text);
        let reference: Reference = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(reference.registry(), *registry, "{text}");
        assert_eq!(reference.repository(), *repository, "{text}");
        assert_eq!(reference.tag().unwrap_or_default(), *tag, "{text}");
        let found = reference.digest().map(|digest| digest.to_string());
        assert_eq!(found.unwrap_or_default(), fill(digest), "{text}");
        assert_eq!(reference.familiar(), fill(familiar), "{text}");
        assert_eq!(reference.inner().to_string(), reference.to_string());
    }
}

#[test]
fn nonsense_is_refused_with_the_text_in_the_message() {
    for text in REFUSED {
        let text = fill(text);
        let error = text.parse::<Reference>().expect_err(&text).to_string();
        assert!(error.starts_with("invalid image \""), "{text}: {error}");
    }
}

#[test]
fn what_the_library_takes_and_no_registry_is_refused() {
    type Theirs = oci_spec::distribution::Reference;
    for text in [
        "Owner/name",
        "a@sha256:{H}",
        "alpine:\u{e9}t\u{e9}",
        "ghcr.io:99999999999/a",
        "{h}",
    ] {
        let text = fill(text);
        assert!(
            text.parse::<Theirs>().is_ok(),
            "the library has learnt to refuse {text:?}"
        );
        assert!(text.parse::<Reference>().is_err(), "{text:?}");
    }
}

#[test]
fn long_names_are_refused_at_their_limits_and_not_repeated_in_full() {
    let longest = "a".repeat(255 - "docker.io/library/".len());
    assert!(longest.parse::<Reference>().is_ok());
    assert!(format!("{longest}a").parse::<Reference>().is_err());
    assert!(format!("a:{}", "t".repeat(128)).parse::<Reference>().is_ok());
    assert!(format!("a:{}", "t".repeat(129)).parse::<Reference>().is_err());
    assert!(format!("{}.io/a", "h".repeat(63)).parse::<Reference>().is_ok());
    assert!(format!("{}.io/a", "h".repeat(64)).parse::<Reference>().is_err());
    for huge in [
        "a".repeat(4096),
        "a/".repeat(2048),
        "é".repeat(2048),
        ":".repeat(4096),
    ] {
        let error = huge.parse::<Reference>().unwrap_err().to_string();
        assert!(error.len() < 300, "{error}");
    }
}

#[test]
fn a_pinned_name_keeps_its_tag() {
    let reference: Reference = "alpine:3.24".parse().unwrap();
    let digest = format!("sha256:{}", "b".repeat(64));
    let pinned = reference.pinned(&digest.parse().unwrap());
    assert_eq!(pinned.familiar(), format!("alpine:3.24@{digest}"));
}

#[test]
fn file_names_can_be_read() {
    let name = |text: &str| text.parse::<Reference>().unwrap().file_name();
    assert_eq!(name("alpine:3.24"), "docker.io%2Flibrary%2Falpine%3A3.24");
    assert_eq!(name("[::1]:5000/a"), "%5B%3A%3A1%5D%3A5000%2Fa%3Alatest");
    let long = format!("{}/b:{}", "a".repeat(120), "t".repeat(128));
    assert!(name(&long).contains("%%"), "{}", name(&long));
}

/// Names that parse, near each other, so that a careless escape would make two of them one.
fn names() -> impl Strategy<Value = String> {
    let host = prop_oneof!["", "[a-c]{1,3}\\.io/", "localhost:[1-9]{1,3}/", "\\[::[1-9]\\]/"];
    // Without dots in its first part, which would make it a registry.
    let path = "[a-c]{1,3}(/[a-c]{1,40}((\\.|_|__|-{1,3})[a-c0-2]){0,3}){0,4}";
    let tag = prop_oneof!["", ":[a-cA-C_][a-cA-C0-9._-]{0,127}"];
    let digest = prop_oneof!["", "@sha256:[ab]{64}"];
    (host, path, tag, digest).prop_map(|(host, path, tag, digest)| host + &path + &tag + &digest)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_parser_fall_over(text in any::<String>()) {
        if let Ok(reference) = text.parse::<Reference>() {
            prop_assert!(reference.to_string().len() <= 512);
        }
    }

    #[test]
    fn every_form_of_a_name_means_the_same(text in names()) {
        let reference: Reference = text.parse().unwrap();
        prop_assert_eq!(&reference.to_string().parse::<Reference>().unwrap(), &reference);
        prop_assert_eq!(&reference.familiar().parse::<Reference>().unwrap(), &reference);
    }

    #[test]
    fn file_names_are_safe_and_differ_where_names_differ(one in names(), other in names()) {
        let (one, other): (Reference, Reference) = (one.parse().unwrap(), other.parse().unwrap());
        let name = one.file_name();
        prop_assert!(name.len() <= 200 && !name.starts_with('.'));
        prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-%".contains(&byte)));
        prop_assert_eq!(name == other.file_name(), one == other);
    }
}
