//! Names of images as Docker users write them.
//!
//! The parser is ours: the one of `oci-spec` takes capital letters in repositories and digests, any letter of Unicode in
//! tags and ports beyond 65535, knows no IPv6 registries, and compiles a large regular expression first, on the path
//! of every run. See `tests/reference.rs` for the table of what is taken and what is refused.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use agentkernel_types::{Digest, ParseError};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const HUB: &str = "docker.io";
const OFFICIAL: &str = "library/";
const DEFAULT_TAG: &str = "latest";

/// `[REGISTRY[:PORT]/]REPOSITORY[:TAG][@DIGEST]` in full: `alpine` is `docker.io/library/alpine:latest`.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference(oci_spec::distribution::Reference);

impl Reference {
    /// Of the text: longer ones are refused before they are looked at.
    pub const MAX_LENGTH: usize = 512;

    /// The host with its port, in lower case: `docker.io`, `localhost:5000`, `[::1]:5000`.
    pub fn registry(&self) -> &str {
        self.0.registry()
    }

    pub fn repository(&self) -> &str {
        self.0.repository()
    }

    /// None only where there is a digest.
    pub fn tag(&self) -> Option<&str> {
        self.0.tag()
    }

    pub fn digest(&self) -> Option<Digest> {
        self.0.digest().and_then(|digest| digest.parse().ok())
    }

    /// For the registry client.
    pub fn inner(&self) -> &oci_spec::distribution::Reference {
        &self.0
    }

    /// The same name with this digest. The tag stays, for people.
    pub fn pinned(&self, digest: &Digest) -> Self {
        Self(compose(
            self.registry(),
            self.repository(),
            self.tag(),
            Some(digest),
        ))
    }

    /// As people write it: without what is understood (`docker.io/library/`). It parses to the same name.
    pub fn familiar(&self) -> String {
        let full = self.to_string();
        let Some(short) = full.strip_prefix("docker.io/") else {
            return full;
        };
        let short = short.strip_prefix(OFFICIAL).unwrap_or(short);
        match short.parse::<Self>() {
            Ok(same) if same == *self => short.to_owned(),
            // Its first part would be taken for a registry.
            _ => full,
        }
    }

    /// A file name that no other reference has: at most 200 bytes of `a-zA-Z0-9._-%`, never beginning with a dot.
    pub fn file_name(&self) -> String {
        escape(&self.to_string())
    }
}

/// Everything but letters, digits, `.`, `_` and `-` becomes `%` and two digits. What is too long for a file name ends
/// with `%%` and its hash instead: no other escape has two `%` in a row.
fn escape(text: &str) -> String {
    use fmt::Write as _;
    const LONGEST: usize = 200;
    const KEPT: usize = 120;
    let mut escaped = String::with_capacity(text.len() + 16);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => escaped.push(byte.into()),
            b'.' if at > 0 => escaped.push('.'),
            _ => write!(escaped, "%{byte:02X}").expect("writing to a string cannot fail"),
        }
    }
    if escaped.len() <= LONGEST {
        return escaped;
    }
    let hash = Digest::from_sha256(Sha256::digest(text.as_bytes()).into());
    format!("{}%%{}", &escaped[..KEPT], hash.hex())
}

impl FromStr for Reference {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text).map_err(|why| {
            let shown: String = text.chars().take(80).collect();
            let more = if shown.len() < text.len() { "..." } else { "" };
            ParseError::new(format!("invalid image {:?}: {why}", shown + more))
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for Reference {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

fn parse(text: &str) -> Result<Reference, String> {
    if text.is_empty() {
        return Err("it is empty; write a name such as alpine:3.24".to_owned());
    }
    if text.len() > Reference::MAX_LENGTH {
        return Err(format!("it is longer than {} bytes", Reference::MAX_LENGTH));
    }
    if text.contains("://") {
        return Err("it is written without a scheme, as in ghcr.io/owner/name:tag".to_owned());
    }
    let (named, digest) = match text.split_once('@') {
        Some((named, digest)) => (named, Some(parse_digest(digest)?)),
        None => (text, None),
    };
    let (path, tag) = split_tag(named);
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    let (registry, repository) = split_registry(path)?;
    check_repository(&repository)?;
    if registry.len() + 1 + repository.len() > 255 {
        return Err("registry and repository are longer than 255 characters".to_owned());
    }
    let tag = tag.or_else(|| digest.is_none().then_some(DEFAULT_TAG));
    Ok(Reference(compose(&registry, &repository, tag, digest.as_ref())))
}

fn compose(
    registry: &str,
    repository: &str,
    tag: Option<&str>,
    digest: Option<&Digest>,
) -> oci_spec::distribution::Reference {
    use oci_spec::distribution::Reference;
    let (registry, repository) = (registry.to_owned(), repository.to_owned());
    match (tag, digest) {
        (Some(tag), Some(digest)) => {
            Reference::with_tag_and_digest(registry, repository, tag.to_owned(), digest.to_string())
        }
        (None, Some(digest)) => Reference::with_digest(registry, repository, digest.to_string()),
        (tag, None) => Reference::with_tag(registry, repository, tag.unwrap_or(DEFAULT_TAG).to_owned()),
    }
}

fn parse_digest(text: &str) -> Result<Digest, String> {
    text.parse()
        .map_err(|_| "after '@' comes sha256: and 64 hexadecimal digits in lower case".to_owned())
}

/// A colon before the last slash belongs to a port.
fn split_tag(named: &str) -> (&str, Option<&str>) {
    let last = named.rfind('/').map_or(0, |slash| slash + 1);
    match named[last..].find(':') {
        Some(colon) => (&named[..last + colon], Some(&named[last + colon + 1..])),
        None => (named, None),
    }
}

fn check_tag(tag: &str) -> Result<(), String> {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if tag.is_empty() || tag.len() > 128 || tag.starts_with(['.', '-']) || !tag.chars().all(valid) {
        return Err(
            "a tag has 1 to 128 letters, digits, '_', '.' and '-', and begins with neither '.' nor '-'"
                .to_owned(),
        );
    }
    Ok(())
}

/// The first part is a registry if it can be nothing else: with a dot, a port or brackets, or `localhost`.
fn split_registry(path: &str) -> Result<(String, String), String> {
    let (registry, rest) = match path.split_once('/') {
        Some((first, rest)) if first == "localhost" || first.contains(['.', ':', '[']) => {
            (parse_registry(first)?, rest)
        }
        _ => (HUB.to_owned(), path),
    };
    if registry == HUB && !rest.contains('/') {
        return Ok((registry, format!("{OFFICIAL}{rest}")));
    }
    Ok((registry, rest.to_owned()))
}

fn parse_registry(text: &str) -> Result<String, String> {
    let wrong = || format!("{text:?} is not a registry: write HOST or HOST:PORT");
    let (host, port) = match text.strip_prefix('[') {
        Some(inside) => {
            let (address, rest) = inside.split_once(']').ok_or_else(wrong)?;
            let address: Ipv6Addr = address.parse().map_err(|_| wrong())?;
            let port = match rest {
                "" => None,
                rest => Some(rest.strip_prefix(':').ok_or_else(wrong)?),
            };
            (format!("[{address}]"), port)
        }
        None => {
            let (host, port) = match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            if host.len() > 253 || !host.split('.').all(is_label) {
                return Err(wrong());
            }
            (host.to_ascii_lowercase(), port)
        }
    };
    let Some(port) = port else {
        // One registry, two names: the older one is in people's scripts.
        return Ok(if host == "index.docker.io" {
            HUB.to_owned()
        } else {
            host
        });
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(port @ 1..) if digits => Ok(format!("{host}:{port}")),
        _ => Err(format!("{port:?} is not a port: write 1 to 65535")),
    }
}

fn is_label(label: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (1..=63).contains(&label.len())
        && label.chars().all(valid)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn check_repository(repository: &str) -> Result<(), String> {
    if repository.chars().any(|c| c.is_ascii_uppercase()) {
        return Err("a repository is written in lower case".to_owned());
    }
    if !repository.split('/').all(is_component) {
        return Err(
            "the parts of a repository have letters and digits, with '.', '_', '__' or '-' between them"
                .to_owned(),
        );
    }
    let name = repository.strip_prefix(OFFICIAL).unwrap_or(repository);
    if name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("64 hexadecimal digits are an image's id and not a name".to_owned());
    }
    Ok(())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, as the distribution specification has it.
fn is_component(part: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separator = |text: &str| matches!(text, "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    part.starts_with(word)
        && part.ends_with(word)
        && part
            .split(word)
            .filter(|between| !between.is_empty())
            .all(separator)
}
