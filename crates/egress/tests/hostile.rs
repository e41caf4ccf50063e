//! Names, requests and greetings that try to get past a policy, through the path that real bytes take: a name to
//! the policy, bytes to the guard and from there to the policy. Whatever is refused, none of its bytes goes out.

use std::{net::SocketAddr, sync::Arc};

use agentkernel_egress::inspect::{FlowGuard, Refusal};
use agentkernel_policy::CompiledNetwork;
use agentkernel_types::{DomainName, NetworkMode, NetworkPolicy, Protocol};

const WEB: &str = "93.184.215.14:80";
const TLS: &str = "93.184.215.14:443";

fn policy() -> Arc<CompiledNetwork> {
    let rules = |texts: &[&str]| texts.iter().map(|text| text.parse().expect(text)).collect();
    let policy = NetworkPolicy {
        mode: NetworkMode::Allowlist,
        allow: rules(&[
            "allowed.example:80,443",
            "*.zone.example:80,443",
            "other.example:80,443",
            "preset:npm",
        ]),
        deny: rules(&["bad.zone.example"]),
    };
    Arc::new(CompiledNetwork::new(&policy).expect("the policy is valid"))
}

/// A guard for a connection to an address that two allowed names were answered with.
fn guard(to: &str) -> FlowGuard {
    let pinned = ["allowed.example", "good.zone.example"].map(|name| name.parse::<DomainName>().expect(name));
    FlowGuard::new(policy(), pinned.to_vec(), to.parse::<SocketAddr>().expect(to))
}

/// What goes out, whole and byte by byte: both ways must decide alike.
fn send(to: &str, bytes: &[u8]) -> (Vec<u8>, Result<(), Refusal>) {
    let run = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut guard = guard(to);
        let mut out = Vec::new();
        let mut result = Ok(());
        for piece in pieces {
            result = guard.push(piece, &mut out);
            if result.is_err() {
                break;
            }
        }
        let result = result.and_then(|()| guard.finish(&mut out));
        (out, result)
    };
    let whole = run(&mut std::iter::once(bytes));
    let slow = run(&mut bytes.chunks(1));
    assert_eq!(
        whole.1.is_ok(),
        slow.1.is_ok(),
        "{:?}",
        bytes.escape_ascii().to_string()
    );
    assert_eq!(whole.0, slow.0, "{:?}", bytes.escape_ascii().to_string());
    whole
}

#[track_caller]
fn passes(to: &str, bytes: &[u8]) {
    let (out, result) = send(to, bytes);
    assert_eq!(result, Ok(()), "{}", bytes.escape_ascii());
    assert_eq!(out, bytes, "{}", bytes.escape_ascii());
}

#[track_caller]
fn refused(to: &str, bytes: &[u8]) -> Refusal {
    refused_after(to, b"", bytes)
}

/// `before` is allowed and goes out; of `bytes` nothing does.
#[track_caller]
fn refused_after(to: &str, before: &[u8], bytes: &[u8]) -> Refusal {
    let (out, result) = send(to, &[before, bytes].concat());
    let shown = bytes.escape_ascii().to_string();
    assert_eq!(
        out.escape_ascii().to_string(),
        before.escape_ascii().to_string(),
        "{shown}"
    );
    let refusal = result.expect_err(&shown);
    assert!(!refusal.verdict.allowed, "{shown}");
    refusal
}

fn request(host: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

/// An extension with its number and length.
fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a short part");
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), content].concat()
}

fn sni(kind: u8, names: &[&[u8]]) -> Vec<u8> {
    let mut list = Vec::new();
    for name in names {
        list.push(kind);
        list.extend(u16::try_from(name.len()).expect("a short part").to_be_bytes());
        list.extend_from_slice(name);
    }
    let content = [
        &u16::try_from(list.len()).expect("a short part").to_be_bytes()[..],
        &list,
    ]
    .concat();
    extension(0, &content)
}

fn message(extensions: &[Vec<u8>]) -> Vec<u8> {
    let extensions = extensions.concat();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(32);
    body.extend([8; 32]);
    body.extend([0, 4, 0x1a, 0x1a, 0x13, 1]);
    body.extend([1, 0]);
    body.extend(
        u16::try_from(extensions.len())
            .expect("a short part")
            .to_be_bytes(),
    );
    body.extend(extensions);
    let length = u32::try_from(body.len()).expect("a short part").to_be_bytes();
    [&[1][..], &length[1..], &body].concat()
}

fn records(kind: u8, content: &[u8], size: usize) -> Vec<u8> {
    content
        .chunks(size)
        .flat_map(|part| {
            let length = u16::try_from(part.len()).expect("a short part").to_be_bytes();
            [&[kind, 3, 1][..], &length, part].concat()
        })
        .collect()
}

fn hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    records(22, &message(extensions), 16384)
}

fn named(name: &[u8]) -> Vec<u8> {
    // GREASE before and after, ALPN, supported versions with TLS 1.3.
    hello(&[
        extension(0x2a2a, b""),
        sni(0, &[name]),
        extension(
            16,
            &[
                0, 12, 2, b'h', b'2', 8, b'h', b't', b't', b'p', b'/', b'1', b'.', b'1',
            ],
        ),
        extension(43, &[2, 3, 4]),
        extension(0xfafa, &[0]),
    ])
}

#[test]
fn what_the_policy_allows_passes_unchanged() {
    for host in [
        "allowed.example",
        "ALLOWED.Example",
        "allowed.example:80",
        "good.zone.example",
        "allowed.example.",
    ] {
        passes(WEB, &request(host));
    }
    passes(
        WEB,
        &[request("allowed.example"), request("good.zone.example")].concat(),
    );
    passes(WEB, b"POST / HTTP/1.1\r\nHost: allowed.example\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: allowed.example\r\n\r\n");
    passes(WEB, b"POST / HTTP/1.1\r\nHost: allowed.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: allowed.example\r\n\r\n");
    passes(
        WEB,
        b"GET http://allowed.example/x?y HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    );
    passes(WEB, b"OPTIONS * HTTP/1.1\r\nHost: allowed.example\r\n\r\n");
    passes(TLS, &named(b"allowed.example"));
    passes(TLS, &named(b"Good.Zone.Example"));
    passes(TLS, &records(22, &message(&[sni(0, &[b"allowed.example"])]), 5));
    let more = records(23, &[9; 700], 100);
    passes(
        TLS,
        &[named(b"allowed.example"), records(20, &[1], 1), more].concat(),
    );
    let retry = [
        named(b"allowed.example"),
        records(20, &[1], 1),
        named(b"allowed.example"),
        records(23, b"x", 1),
    ];
    passes(TLS, &retry.concat());
    let greased = hello(&[sni(0, &[b"allowed.example"]), extension(0xfe0d, &[0; 64])]);
    passes(TLS, &greased);
    passes("93.184.215.14:22", b"SSH-2.0-OpenSSH_9.6\r\n\0\0\0\x2c");
    passes("93.184.215.14:5432", b"\0\0\0\x08\x04\xd2\x16\x2f");
}

/// Each is tried as a name to look up, as Host, as SNI and in absolute form.
const NAMES: &[&str] = &[
    // Other names.
    "evil.example",
    "notallowed.example",
    "allowed.example.evil.example",
    "allowed.exampleevil",
    "example",
    "zone.example",
    "xallowed.example",
    "allowed-example",
    "allowed.example.com",
    "sub.allowed.example",
    "bad.zone.example",
    "BAD.ZONE.EXAMPLE",
    "bad.zone.example.",
    "allowedexample",
    "a.badzone.example",
    "evil.example#allowed.example",
    "evil.example?allowed.example",
    "evil.example/allowed.example",
    "evil.example\\allowed.example",
    // Dots.
    "",
    ".",
    "..",
    "allowed.example..",
    ".allowed.example",
    "allowed..example",
    "..allowed.example",
    "evil.example.",
    // NUL, control characters, spaces.
    "allowed.example\0",
    "allowed.example\0.evil.example",
    "evil.example\0.allowed.example",
    "\0allowed.example",
    "allowed\u{7f}.example",
    "allowed.example\u{1}",
    "allowed.exam\tple",
    "allowed.example evil.example",
    "evil.example allowed.example",
    "allowed .example",
    "allowed.example\u{b}",
    "allowed.example\u{1b}",
    // Line ends.
    "allowed.example\r\nHost: evil.example",
    "allowed.example\nHost: evil.example",
    "allowed.example\rHost: evil.example",
    "evil.example\r\nX: allowed.example",
    "allowed.example\r\n evil.example",
    "allowed.example\n",
    // Users and passwords.
    "allowed.example@evil.example",
    "evil.example@allowed.example",
    "user:pass@allowed.example",
    "@allowed.example",
    "allowed.example:80@evil.example",
    "allowed.example%40evil.example",
    // Escapes.
    "%61llowed.example",
    "allowed%2eexample",
    "allowed.example%00",
    "allowed.example%0d%0aHost:evil.example",
    "allowed%E3%80%82example",
    // Scripts that look alike, full stops of other scripts, wide forms, their A-labels, invisible characters.
    "аllowed.example",
    "allоwed.example",
    "allowed.exаmple",
    "αllowed.example",
    "allowed。example",
    "allowed．example",
    "allowed｡example",
    "ａllowed.example",
    "xn--llowed-9wf.example",
    "xn--allowed-.example",
    "xn--.example",
    "allowed\u{200b}.example",
    "allowed\u{ad}.example",
    "allowed.example\u{200d}",
    "\u{feff}allowed.example",
    "allowed\u{2024}example",
    "ⓐllowed.example",
    "allowed.eⅹample",
    "ALLOWED.EXAMPLÉ",
    "ſ.zone.example",
    "\u{212a}.zone.example",
    "allowed\u{301}.example",
    "\u{202e}elpmaxe.dewolla",
    // Wildcards and other signs.
    "*",
    "*.example",
    "*.zone.example",
    "allowed.example,evil.example",
    "allowed.example;evil.example",
    "-allowed.example",
    "allowed-.example",
    "allowed!.example",
    "allowed$.example",
    "(allowed.example)",
    "allowed.example|evil.example",
    "`allowed.example`",
    "\"allowed.example\"",
    "'allowed.example'",
    "<allowed.example>",
    // IPv4 in all spellings.
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "0",
    "0.0.0.0",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "127.0.0.01",
    "0x7F.0x0.0x0.0x1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "0xa9.0xfe.0xa9.0xfe",
    "10.0.0.1",
    "192.168.1",
    "256.256.256.256",
    "1.2.3.4.5",
    "99999999999",
    "0x",
    "1.1.1.1",
    "93.184.215.015",
    "169.254.169.254.",
    "１２７.0.0.1",
    "①②⑦.0.0.1",
    "evil.0x10",
    "evil.1",
    // IPv6 in all spellings.
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::169.254.169.254]",
    "[2002:a9fe:a9fe::]",
    "[fd00:ec2::254]",
    "[fe80::1%eth0]",
    "[fe80::1%25eth0]",
    "[::1%lo]",
    "::1",
    "fd00:ec2::254",
    "[::1",
    "::1]",
    "[[::1]]",
    "[]",
    "[127.0.0.1]",
    "[allowed.example]",
    "[::127.0.0.1]",
    "[v1.allowed]",
    "[::1].allowed.example",
    "allowed.example[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[2001:db8::1]:80",
    "[::ffff:93.184.215.14]",
    // Ports.
    "allowed.example:",
    "allowed.example:0",
    "allowed.example:22",
    "allowed.example:65616",
    "allowed.example:80:80",
    "allowed.example:+80",
    "allowed.example:80 ",
    "allowed.example:８０",
    "allowed.example:80a",
    "allowed.example:-1",
    "allowed.example:000080",
    "evil.example:80",
    "allowed.example:443:80",
    // Names of what is walled off.
    "localhost",
    "metadata.google.internal",
    "metadata",
    "instance-data",
    "metadata.goog",
    "host.agentkernel.internal",
    "dns.google",
    "cloudflare-dns.com",
    "one.one.one.one",
    "dns.quad9.net",
    "METADATA.google.internal.",
    "localhost.",
    "localhost.localdomain",
    "169.254.169.254.nip.io",
    "127.0.0.1.xip.io",
    // Allowed, but not at this address.
    "other.example",
    "registry.npmjs.org",
    "elsewhere.zone.example",
];

/// Names of the list that may be looked up all the same, or that are spelled for one place only.
fn may_be_resolved(name: &str) -> bool {
    ["other.example", "registry.npmjs.org", "elsewhere.zone.example"].contains(&name)
}

#[test]
fn no_spelling_of_a_name_gets_past_the_policy() {
    let policy = policy();
    let mut cases = 0;
    for text in NAMES {
        if let Ok(name) = text.parse::<DomainName>()
            && !may_be_resolved(text)
        {
            assert!(!policy.resolve(&name).allowed, "{text:?}");
            let to = TLS.parse().unwrap();
            assert!(
                !policy.authority(&name, std::slice::from_ref(&name), to).allowed,
                "{text:?}"
            );
        }
        // OWS around a value is not part of it.
        if *text != "allowed.example:80 " {
            refused(WEB, &request(text));
        }
        refused(
            WEB,
            format!("GET http://{text}/ HTTP/1.1\r\nHost: {text}\r\n\r\n").as_bytes(),
        );
        refused(
            WEB,
            format!("GET http://{text}/ HTTP/1.1\r\nHost: allowed.example\r\n\r\n").as_bytes(),
        );
        refused(TLS, &named(text.as_bytes()));
        let first = request("allowed.example");
        if *text != "allowed.example:80 " {
            refused_after(WEB, &first, &request(text));
        }
        cases += 6;
    }
    assert!(cases >= 900, "{cases}");
}

/// Each is a request that two readers could understand differently, or that leaves what can be judged.
const REQUESTS: &[&[u8]] = &[
    // No host, several, disguised.
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: allowed.example\r\nHost: evil.example\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: allowed.example\r\nHost: allowed.example\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: allowed.example\r\nhost: evil.example\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : allowed.example\r\n\r\n",
    b"GET / HTTP/1.1\r\n Host: allowed.example\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: y\r\n Host: allowed.example\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost:\r\n allowed.example\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: evil.example\r\n\tallowed.example\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost\t: allowed.example\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost\0: allowed.example\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost allowed.example\r\n\r\n",
    b"GET / HTTP/1.1\r\n: allowed.example\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: allowed.example\r\nX\rHost: evil.example\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: allowed.example\r\nX: y\nHost: evil.example\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: allowed.example\r\nX: y\0z\r\n\r\n",
    // Targets.
    b"GET http://evil.example/ HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET http://allowed.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"GET HTTP://EVIL.example/ HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET http://allowed.example@evil.example/ HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET http://allowed.example:22/ HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET http://allowed.example:22/ HTTP/1.1\r\nHost: allowed.example:22\r\n\r\n",
    b"GET http:///x HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET http:/evil.example/ HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET https://allowed.example/ HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET ftp://allowed.example/ HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET evil.example/ HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET evil.example:80 HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET ?x HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET * HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET \\\\evil.example\\ HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET @evil.example/ HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET /\0 HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET /\x80 HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET /\t HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET /a b HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET /#x HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET  / HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET\t/ HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET / \r\nHost: allowed.example\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET http://evil.example/\r\n\r\n",
    // CONNECT and other tunnels.
    b"CONNECT evil.example:443 HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"CONNECT allowed.example:443 HTTP/1.1\r\nHost: allowed.example:443\r\n\r\n",
    b"CONNECT /path HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"CONNECT allowed.example:443/path HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"CONNECT http://allowed.example/ HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"connect evil.example:443 HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"CONNECT * HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    // Methods and versions.
    b"get / HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GeT / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"FOO / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"F@O / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"GET / HTTP/1.2\r\nHost: allowed.example\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: allowed.example\r\n\r\n",
    b"GET / HTTP/0.9\r\nHost: allowed.example\r\n\r\n",
    b"GET / http/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET / HTTP/1.10\r\nHost: allowed.example\r\n\r\n",
    b"GET / HTTP/01.1\r\nHost: allowed.example\r\n\r\n",
    b"GET / XTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"GET / HTTP/1.1 \r\nHost: allowed.example\r\n\r\n",
    // Before the request.
    b"\r\nGET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"\nGET / HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b" GET / HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"\0GET / HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    b"\xef\xbb\xbfGET / HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    // Line ends.
    b"GET / HTTP/1.1\nHost: allowed.example\n\n",
    b"GET / HTTP/1.1\r\nHost: allowed.example\n\r\n",
    b"GET / HTTP/1.1\rHost: allowed.example\r\r",
    b"GET / HTTP/1.1\r\nHost: allowed.example\r\n\n",
    b"GET / HTTP/1.1\r\r\nHost: allowed.example\r\n\r\n",
    // Length and coding.
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nContent-Length: 3, 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nContent-Length: +3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nContent-Length: 0x3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nContent-Length: 3 \t4\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nContent-Length: \r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nContent-Length : 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nContent_Length: 3\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nTransfer-Encoding: identity\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nTransfer_Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: allowed.example\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.0\r\nHost: allowed.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    // HTTP/2 without TLS, and other ways to leave.
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: allowed.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: allowed.example\r\nUpgrade: H2C\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: allowed.example\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: allowed.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: allowed.example\r\nUpgrade: TLS/1.2\r\nConnection: Upgrade\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: allowed.example\r\nUpgrade: x, h2c\r\n\r\n",
    // Not HTTP on its port.
    b"\x00\x01\x02\x03",
    b"\x80\x2e\x01\x00\x02",
    b"EHLO evil.example\r\n",
    b"GE",
    b"GET / HTTP/1.1\r\nHost: allowed.example\r\n",
];

#[test]
fn no_ambiguous_request_goes_out() {
    for bytes in REQUESTS {
        refused(WEB, bytes);
        // And not as the second one of a connection.
        let first = request("allowed.example");
        refused_after(WEB, &first, bytes);
        let post = b"POST / HTTP/1.1\r\nHost: allowed.example\r\nContent-Length: 3\r\n\r\nabc";
        refused_after(WEB, post, bytes);
    }
    assert!(REQUESTS.len() >= 100, "{}", REQUESTS.len());
}

#[test]
fn a_request_hidden_in_a_body_stays_a_body_and_one_behind_it_is_judged() {
    let head = "POST / HTTP/1.1\r\nHost: allowed.example\r\n";
    let inner = "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    passes(
        WEB,
        format!("{head}Content-Length: {}\r\n\r\n{inner}", inner.len()).as_bytes(),
    );
    for before in [
        format!("{head}Content-Length: 0\r\n\r\n"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("{head}Transfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
        format!("{head}\r\n"),
    ] {
        let refusal = refused_after(WEB, before.as_bytes(), inner.as_bytes());
        assert_eq!(refusal.name, Some("evil.example".parse().unwrap()));
        assert_eq!(refusal.method.as_deref(), Some("GET"));
        let remedy = refusal.verdict.remedy.expect("a rule would help");
        assert_eq!(remedy, "agentkernel policy allow NAME evil.example:80");
    }
}

#[test]
fn malformed_chunks_end_the_connection() {
    let head = "POST / HTTP/1.1\r\nHost: allowed.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "\r\n",
        "g\r\n",
        "3;x=y\r\nabc\r\n0\r\n\r\n",
        "3 \r\nabc\r\n",
        " 3\r\nabc\r\n",
        "+3\r\nabc\r\n",
        "-1\r\n",
        "0x3\r\nabc\r\n",
        "3\nabc\r\n",
        "3\rabc\r\n",
        "3\r\nabcd\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "0\r\nX: y\r\n\r\n",
        "0\r\n\n",
        "0\n\n",
        "0\r\nHost: evil.example\r\n\r\n",
        "fffffffffffffffff\r\n",
        "0000000000000\r\n",
        "\0",
        "3\r\nabc\r\n\r\n",
    ] {
        let bytes = format!("{head}{body}GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
        for size in [1, bytes.len()] {
            let (mut guard, mut out) = (guard(WEB), Vec::new());
            let mut pieces = bytes.as_bytes().chunks(size);
            let cut = pieces.any(|piece| guard.push(piece, &mut out).is_err());
            assert!(cut, "{body:?}");
            assert!(!out.windows(4).any(|part| part == b"evil"), "{body:?}");
        }
    }
}

#[test]
fn no_greeting_of_tls_goes_out_that_could_be_understood_otherwise() {
    let good = || sni(0, &[b"allowed.example"]);
    let message_of = |extensions: &[Vec<u8>]| message(extensions);
    let mut shorter = message_of(&[good()]);
    shorter.truncate(60);
    let mut wrong_kind = message_of(&[good()]);
    wrong_kind[0] = 2;
    let mut too_long = message_of(&[good()]);
    too_long[1] = 1;
    let mut longer = message_of(&[good()]);
    longer[3] += 1;
    let two = [message_of(&[good()]), message_of(&[sni(0, &[b"evil.example"])])].concat();
    let mut session = message_of(&[good()]);
    session[38] = 33;
    let empty_list = extension(0, &[0, 0]);
    let mut version = named(b"allowed.example");
    version[1] = 2;
    let long = [vec![b'a'; 300], b".zone.example".to_vec()].concat();
    let cases: Vec<Vec<u8>> = vec![
        hello(&[]),
        hello(&[extension(43, &[2, 3, 4])]),
        named(b"evil.example"),
        named(b""),
        named(b"allowed.example."),
        named(b"allowed.example\0"),
        named(b"allowed.example\0.evil.example"),
        named(b"93.184.215.14"),
        named(b"1.2.3.4"),
        named(b"::1"),
        named(b"[::1]"),
        named(b"2001:db8::1"),
        named(b"fe80::1%eth0"),
        named(b"127.1"),
        named(b"\xff\xfe"),
        named(b"*.zone.example"),
        named(b"bad.zone.example"),
        named(b"allowed.example:443"),
        named(&long),
        hello(&[sni(0, &[b"allowed.example", b"evil.example"])]),
        hello(&[sni(0, &[b"evil.example", b"allowed.example"])]),
        hello(&[sni(0, &[b"allowed.example", b"allowed.example"])]),
        hello(&[sni(1, &[b"allowed.example"])]),
        hello(&[sni(0, &[])]),
        hello(&[empty_list]),
        hello(&[extension(0, &[])]),
        hello(&[extension(0, &[0, 9, 0, 0, 1, b'a'])]),
        hello(&[good(), good()]),
        hello(&[good(), sni(0, &[b"evil.example"])]),
        hello(&[sni(0, &[b"evil.example"]), good()]),
        hello(&[
            good(),
            extension(16, &[0, 3, 2, b'h', b'2']),
            extension(16, &[0, 3, 2, b'h', b'2']),
        ]),
        hello(&[good(), extension(16, &[0, 1, 0])]),
        hello(&[good(), extension(16, &[0, 9, 2, b'h', b'2'])]),
        hello(&[sni(0, &[b"cloudflare-ech.com"]), extension(0xfe0d, &[0; 64])]),
        hello(&[extension(0xfe0d, &[0; 64])]),
        records(22, &shorter, 16384),
        records(22, &wrong_kind, 16384),
        records(22, &too_long, 16384),
        records(22, &longer, 16384),
        records(22, &session, 16384),
        records(22, &two, 16384),
        records(22, &two, 50),
        version,
        vec![22, 3, 1, 0, 0],
        vec![22, 3, 1, 0xff, 0xff, 1],
        vec![22, 3, 9, 0, 5, 1, 0, 0, 1, 0],
        vec![22],
        [
            records(22, &message_of(&[good()])[..20], 20),
            records(21, &[1, 0], 2),
        ]
        .concat(),
        [
            records(22, &message_of(&[good()])[..20], 20),
            records(23, &[1, 0], 2),
        ]
        .concat(),
        // Plain HTTP and other things on the port of TLS.
        request("evil.example"),
        b"SSH-2.0-x\r\n".to_vec(),
        vec![0x80, 0x2e, 1, 3, 1],
        vec![23, 3, 3, 0, 1, 0],
    ];
    for bytes in &cases {
        refused(TLS, bytes);
    }
    assert!(cases.len() >= 50, "{}", cases.len());
}

#[test]
fn a_second_greeting_names_the_same_server() {
    let first = named(b"allowed.example");
    refused_after(TLS, &first, &named(b"evil.example"));
    refused_after(TLS, &first, &named(b"good.zone.example"));
    refused_after(TLS, &first, &hello(&[]));
    let changed = [first, records(20, &[1], 1)].concat();
    refused_after(
        TLS,
        &changed,
        &records(22, &message(&[sni(0, &[b"evil.example"])]), 7),
    );
}

#[test]
fn after_a_refusal_nothing_goes_out_any_more() {
    let mut guard = guard(WEB);
    let mut out = Vec::new();
    let refusal = guard.push(&request("evil.example"), &mut out).unwrap_err();
    assert_eq!(
        guard.push(&request("allowed.example"), &mut out),
        Err(refusal.clone())
    );
    assert_eq!(guard.finish(&mut out), Err(refusal));
    assert_eq!(out, b"");
}

#[test]
fn what_is_held_back_is_bounded() {
    for start in [
        &b"GET /"[..],
        b"GET / HTTP/1.1\r\nX: ",
        b"FOO ",
        b"FOO",
        &[22, 3, 1, 0x40, 0, 1, 0, 0x7f, 0xff],
    ] {
        let mut guard = guard(WEB);
        let mut out = Vec::new();
        let mut result = guard.push(start, &mut out);
        for _ in 0..1000 {
            if result.is_err() {
                break;
            }
            result = guard.push(&[b'a'; 1000], &mut out);
        }
        assert!(result.is_err(), "{}", start.escape_ascii());
        assert_eq!(out, b"");
    }
}

/// No connection to where no allowed name leads, whatever the pins.
#[test]
fn no_address_is_reached_that_the_policy_does_not_name() {
    let policy = policy();
    let pinned = ["allowed.example".parse::<DomainName>().unwrap()];
    for address in [
        "127.0.0.1",
        "127.1.2.3",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "169.254.170.2",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:93.184.215.14",
        "::169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "2002:7f00:1::1",
        "2001:0:a9fe:a9fe::1",
        "fe80::1",
        "fd00:ec2::254",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "3fff::1",
        "::ffff:0:127.0.0.1",
        "2600::5efe:a9fe:a9fe",
    ] {
        for port in [22, 53, 80, 443, 853] {
            for protocol in Protocol::ALL {
                let to = SocketAddr::new(address.parse().expect(address), port);
                assert!(!policy.connect(&pinned, to, protocol).allowed, "{to}/{protocol}");
            }
        }
    }
    for to in ["93.184.215.14:22", "93.184.215.14:53", "93.184.215.14:853"] {
        assert!(
            !policy
                .connect(&pinned, to.parse().unwrap(), Protocol::Tcp)
                .allowed,
            "{to}"
        );
    }
    assert!(
        policy
            .connect(&pinned, TLS.parse().unwrap(), Protocol::Tcp)
            .allowed
    );
    assert!(!policy.connect(&[], TLS.parse().unwrap(), Protocol::Tcp).allowed);
}
