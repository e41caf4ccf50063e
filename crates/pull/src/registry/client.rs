//! HTTP clients: one per set of trusted authorities, made when they are first needed.

use std::{
    collections::BTreeMap,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Mutex, Once, PoisonError},
    time::Duration,
};

use reqwest::{
    Certificate, Client, ClientBuilder,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};

use crate::failure::{Failure, Outcome, Reason, resolve_failed};

const USER_AGENT: &str = concat!("agentkernel/", env!("CARGO_PKG_VERSION"));
const REDIRECTS: usize = 5;
/// A file of authorities; those of whole systems have a quarter of that.
const CA_BYTES: u64 = 1 << 20;

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Key {
    ca: Option<PathBuf>,
    connect_timeout: Duration,
    follows: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Clients(Mutex<BTreeMap<Key, Client>>);

impl Clients {
    /// `follows`: redirects, without taking credentials to another host.
    pub(crate) fn get(&self, ca: Option<&Path>, connect_timeout: Duration, follows: bool) -> Outcome<Client> {
        let key = Key {
            ca: ca.map(Path::to_owned),
            connect_timeout,
            follows,
        };
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = build(&key)?;
        clients.insert(key, client.clone());
        Ok(client)
    }
}

fn build(key: &Key) -> Outcome<Client> {
    install_provider();
    let authorities = match &key.ca {
        Some(path) => read_authorities(path)?,
        None => Vec::new(),
    };
    let policy = if key.follows {
        redirect_policy()
    } else {
        redirect::Policy::none()
    };
    let builder = || -> ClientBuilder {
        Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(key.connect_timeout)
            .dns_resolver(System)
            // Where a blob lies tells nobody else where it came from.
            .referer(false)
    };
    builder()
        .redirect(policy)
        .tls_certs_merge(authorities)
        .build()
        // A machine without any authority can still use plain HTTP; TLS then fails with an unknown issuer.
        .or_else(|_| {
            let policy = if key.follows {
                redirect_policy()
            } else {
                redirect::Policy::none()
            };
            builder().redirect(policy).tls_certs_only([]).build()
        })
        .map_err(|error| Failure::new(Reason::Tls, "cannot prepare secure connections").because(error))
}

/// ring, for the whole process: it builds without cmake. A provider that somebody has installed before stays.
fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails if there is one already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

fn read_authorities(path: &Path) -> Outcome<Vec<Certificate>> {
    let wrong = |why: String| {
        Failure::new(
            Reason::Tls,
            format!("cannot use the authorities in {}: {why}", path.display()),
        )
        .hint("`ca` names a PEM file with certificates")
    };
    let length = fs::metadata(path)
        .map_err(|error| wrong(error.to_string()))?
        .len();
    if length > CA_BYTES {
        return Err(wrong("it is larger than 1 MiB".to_owned()));
    }
    let pem = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(found) if found.is_empty() => Err(wrong("there is no certificate in it".to_owned())),
        Ok(found) => Ok(found),
        Err(_) => Err(wrong("it is not PEM".to_owned())),
    }
}

/// The client itself drops credentials when host, port or scheme change. A way back from TLS is not taken.
fn redirect_policy() -> redirect::Policy {
    redirect::Policy::custom(|attempt| {
        let downgrade = attempt.url().scheme() != "https"
            && attempt
                .previous()
                .last()
                .is_some_and(|previous| previous.scheme() == "https");
        if downgrade {
            attempt.error("a redirect from https to http")
        } else if attempt.previous().len() > REDIRECTS {
            attempt.error("too many redirects")
        } else {
            attempt.follow()
        }
    })
}

/// The operating system's resolver; failures are marked, so that they can be told from others.
struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is set by the client.
            match tokio::net::lookup_host((name.as_str(), 0)).await {
                Ok(found) => {
                    let found: Vec<SocketAddr> = found.collect();
                    if found.is_empty() {
                        return Err(resolve_failed(io::ErrorKind::NotFound.into()));
                    }
                    Ok(Box::new(found.into_iter()) as Addrs)
                }
                Err(error) => Err(resolve_failed(error)),
            }
        })
    }
}
