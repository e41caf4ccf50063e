//! From a name to the manifest of one image: the bytes as they came, compared with every digest that we know.

use agentkernel_image::{
    Error, ImageConfig, ParsedConfig, Reference,
    manifest::{self, Descriptor, Document, Manifest, Platform},
};
use agentkernel_types::Digest;
use reqwest::{Method, Response, StatusCode, header::HeaderMap};
use sha2::{Digest as _, Sha256};

use crate::{
    Progress,
    failure::{Failure, Outcome, Reason},
    registry::{Ask, Session, read_bounded},
    retry::Attempts,
};

/// Indexes in indexes: more than two levels nobody makes.
const DEPTH: usize = 3;
const DIGEST_HEADER: &str = "docker-content-digest";

/// What is to be known before the layers.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) manifest: Manifest,
    pub(crate) manifest_json: Vec<u8>,
    pub(crate) config: ParsedConfig,
    pub(crate) config_json: Vec<u8>,
}

pub(crate) struct Question<'a> {
    pub(crate) reference: &'a Reference,
    pub(crate) platform: &'a Platform,
    pub(crate) progress: &'a Progress,
}

impl Question<'_> {
    /// Manifest and configuration of the image for the platform.
    pub(crate) async fn resolve(&self, session: &Session<'_>) -> Outcome<Resolved> {
        let pinned = self.reference.digest();
        let mut wanted = Wanted {
            name: match &pinned {
                Some(digest) => digest.to_string(),
                None => self.tag().to_owned(),
            },
            digest: pinned,
            size: None,
        };
        for _ in 0..DEPTH {
            let json = self
                .fetch(session, "manifests", &wanted, manifest::MAX_BYTES)
                .await?;
            match manifest::parse(&json).map_err(judged)? {
                Document::Manifest(manifest) => return self.with_config(session, manifest, json).await,
                Document::Index(index) => {
                    let entry = manifest::choose_platform(&index, self.platform).map_err(foreign)?;
                    wanted = Wanted::blob(&entry.descriptor);
                }
            }
        }
        Err(Failure::new(
            Reason::Protocol,
            format!("{} is an index of indexes of indexes", self.reference),
        ))
    }

    async fn with_config(
        &self,
        session: &Session<'_>,
        manifest: Manifest,
        json: Vec<u8>,
    ) -> Outcome<Resolved> {
        let wanted = Wanted::blob(&manifest.config);
        let config_json = self
            .fetch(session, "blobs", &wanted, ImageConfig::MAX_BYTES)
            .await?;
        let config = ImageConfig::parse(&config_json).map_err(judged)?;
        // Before hundreds of megabytes are fetched for nothing.
        config.config.check_platform().map_err(foreign)?;
        if config.diff_ids.len() != manifest.layers.len() {
            return Err(Failure::new(
                Reason::Protocol,
                format!(
                    "{} cannot be used: its manifest has {} layers and its configuration {}",
                    self.reference,
                    manifest.layers.len(),
                    config.diff_ids.len()
                ),
            ));
        }
        Ok(Resolved {
            manifest,
            manifest_json: json,
            config,
            config_json,
        })
    }

    /// The digest that the name stands for at present. Of an index if there is one: good for all platforms.
    pub(crate) async fn digest(&self, session: &Session<'_>) -> Outcome<Digest> {
        let mut attempts = Attempts::new(session.patience, self.progress, self.reference.to_string());
        loop {
            match self.head(session).await {
                Ok(Some(digest)) => return Ok(digest),
                Ok(None) => break,
                Err(failure) => attempts.pause(failure, session.reached()).await?,
            }
        }
        let wanted = Wanted {
            name: self.tag().to_owned(),
            digest: None,
            size: None,
        };
        let json = self
            .fetch(session, "manifests", &wanted, manifest::MAX_BYTES)
            .await?;
        Ok(digest_of(&json))
    }

    /// Without the body, which some registries count against a limit. None: it has to be fetched to know.
    async fn head(&self, session: &Session<'_>) -> Outcome<Option<Digest>> {
        let response = session
            .ask(&self.request(session, Method::HEAD, "manifests", self.tag()))
            .await;
        match response {
            Ok(response) => header_digest(session, response.headers()),
            Err(failure) if failure.reason == Reason::Protocol => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    fn tag(&self) -> &str {
        self.reference.tag().unwrap_or("latest")
    }

    fn request(&self, session: &Session<'_>, method: Method, kind: &str, name: &str) -> Ask {
        Ask {
            method,
            url: session.endpoint.url(kind, name),
            accept: (kind == "manifests").then(|| manifest::ACCEPTED.join(", ")),
            from: 0,
            what: self.reference.familiar(),
        }
    }

    /// A small document, in memory. Repeats what broke.
    async fn fetch(
        &self,
        session: &Session<'_>,
        kind: &str,
        wanted: &Wanted,
        limit: usize,
    ) -> Outcome<Vec<u8>> {
        if wanted.size.is_some_and(|size| size > limit as u64) {
            return Err(Failure::new(
                Reason::Protocol,
                format!(
                    "{} cannot be used: a part of it has more than {limit} bytes",
                    self.reference
                ),
            ));
        }
        let ask = self.request(session, Method::GET, kind, &wanted.name);
        let mut attempts = Attempts::new(session.patience, self.progress, self.reference.to_string());
        loop {
            let failure = match self.once(session, &ask, limit).await {
                Ok((headers, json)) => return wanted.compare(session, kind, &headers, json),
                Err(failure) => failure,
            };
            attempts.pause(failure, session.reached()).await?;
        }
    }

    async fn once(&self, session: &Session<'_>, ask: &Ask, limit: usize) -> Outcome<(HeaderMap, Vec<u8>)> {
        let mut response: Response = session.ask(ask).await?;
        if response.status() != StatusCode::OK {
            return Err(Failure::new(
                Reason::Protocol,
                format!(
                    "the registry {} answers {}",
                    session.name(),
                    response.status().as_u16()
                ),
            ));
        }
        let json = read_bounded(session.name(), &mut response, limit, session.patience.stall).await?;
        Ok((response.headers().clone(), json))
    }
}

/// A document, and what it must be.
struct Wanted {
    name: String,
    digest: Option<Digest>,
    size: Option<u64>,
}

impl Wanted {
    fn blob(descriptor: &Descriptor) -> Self {
        Self {
            name: descriptor.digest.to_string(),
            digest: Some(descriptor.digest.clone()),
            size: Some(descriptor.size),
        }
    }

    fn compare(
        &self,
        session: &Session<'_>,
        kind: &str,
        headers: &HeaderMap,
        json: Vec<u8>,
    ) -> Outcome<Vec<u8>> {
        let found = digest_of(&json);
        let name = session.name();
        if let Some(size) = self.size.filter(|size| *size != json.len() as u64) {
            return Err(damaged(format!(
                "the registry {name} sends {} bytes instead of {size} for {}",
                json.len(),
                found.short()
            )));
        }
        let told = match kind {
            // A storage service behind a redirect may put anything there for a blob.
            "manifests" => header_digest(session, headers)?,
            _ => None,
        };
        for expected in [self.digest.as_ref(), told.as_ref()].into_iter().flatten() {
            if *expected != found {
                return Err(damaged(format!(
                    "the registry {name} sends something else than it says: the digest is {found} instead of {expected}"
                )));
            }
        }
        Ok(json)
    }
}

/// None: there is none, or one of another kind.
fn header_digest(session: &Session<'_>, headers: &HeaderMap) -> Outcome<Option<Digest>> {
    let Some(value) = headers.get(DIGEST_HEADER) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    match text.parse() {
        Ok(digest) => Ok(Some(digest)),
        Err(_) if text.starts_with("sha512:") => Ok(None),
        Err(_) => Err(damaged(format!(
            "the registry {} sends a digest that is none",
            session.name()
        ))),
    }
}

pub(crate) fn damaged(message: String) -> Failure {
    Failure::new(Reason::Digest, message)
        .hint("the registry or something on the way is damaged or hostile: try another registry or mirror")
}

fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_sha256(Sha256::digest(bytes).into())
}

/// A document that we cannot use.
fn judged(error: Error) -> Failure {
    Failure::from_error(Reason::Protocol, error)
}

/// An image that is for others.
pub(crate) fn foreign(error: Error) -> Failure {
    Failure::from_error(Reason::Platform, error)
}
