//! One repository of one registry: requests that sign in when they are asked to.

use std::{
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, HeaderValue, RANGE},
};

use super::{
    Clients, Endpoint,
    answer::{next_chunk, refusal, words},
    challenge::{Challenge, challenge},
    token,
};
use crate::{
    Patience,
    credentials::{self, Credentials, Found},
    failure::{Failure, Outcome, Reason, from_request, timed_out},
    settings::Registries,
};

pub(crate) struct Session<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) patience: Patience,
    pub(super) registries: &'a Registries,
    pub(super) clients: &'a Clients,
    pub(super) connect_timeout: Duration,
    client: Client,
    /// What the registry has accepted or asked for last. A token is good for this repository only.
    authorization: Mutex<Option<HeaderValue>>,
    reached: AtomicBool,
    /// Whether credentials were there, and why not if that is worth telling.
    signed_in: AtomicBool,
    note: Mutex<Option<String>>,
}

/// One request, so that it can be made again after signing in.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) accept: Option<String>,
    /// From this byte on. The answer may then also be that there is no such byte.
    pub(crate) from: u64,
    /// For messages: the image.
    pub(crate) what: String,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        endpoint: Endpoint,
        registries: &'a Registries,
        clients: &'a Clients,
        patience: Patience,
        connect_timeout: Duration,
    ) -> Outcome<Self> {
        let client = clients.get(endpoint.ca.as_deref(), connect_timeout, true)?;
        Ok(Self {
            endpoint,
            patience,
            registries,
            clients,
            connect_timeout,
            client,
            authorization: Mutex::default(),
            reached: AtomicBool::new(false),
            signed_in: AtomicBool::new(false),
            note: Mutex::default(),
        })
    }

    /// Whether it has ever answered.
    pub(crate) fn reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }

    pub(crate) fn name(&self) -> &str {
        &self.endpoint.name
    }

    /// A part of a body; None at its end.
    pub(crate) async fn chunk(&self, response: &mut Response) -> Outcome<Option<bytes::Bytes>> {
        next_chunk(self.name(), response, self.patience.stall).await
    }

    /// The answer to a request: a success.
    pub(crate) async fn ask(&self, ask: &Ask) -> Outcome<Response> {
        let first = self.current();
        let response = self.once(ask, first.as_ref()).await?;
        let response = match response.status() {
            StatusCode::UNAUTHORIZED => {
                let fresh = self.sign_in(&response, &ask.what).await?;
                let response = self.once(ask, Some(&fresh)).await?;
                if response.status().is_success() {
                    *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh);
                }
                response
            }
            _ => response,
        };
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::RANGE_NOT_SATISFIABLE if ask.from > 0 => Ok(response),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let said = words(self.name(), response, self.patience.stall).await;
                Err(self.denied(&ask.what, &said))
            }
            _ => Err(refusal(self.name(), &ask.what, response, self.patience.stall).await),
        }
    }

    fn current(&self) -> Option<HeaderValue> {
        self.authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn once(&self, ask: &Ask, authorization: Option<&HeaderValue>) -> Outcome<Response> {
        let mut request = self.client.request(ask.method.clone(), &ask.url);
        if let Some(accept) = &ask.accept {
            request = request.header(ACCEPT, accept);
        }
        if ask.from > 0 {
            request = request.header(RANGE, format!("bytes={}-", ask.from));
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        self.send(request).await
    }

    /// Until the head of the answer is there.
    pub(super) async fn send(&self, request: RequestBuilder) -> Outcome<Response> {
        match tokio::time::timeout(self.patience.stall, request.send()).await {
            Ok(Ok(response)) => {
                self.reached.store(true, Ordering::Relaxed);
                Ok(response)
            }
            Ok(Err(error)) => Err(from_request(self.name(), error)),
            Err(_) => Err(timed_out(self.name(), true)),
        }
    }

    async fn sign_in(&self, response: &Response, what: &str) -> Outcome<HeaderValue> {
        let Some(challenge) = challenge(response.headers()) else {
            return Err(Failure::new(
                Reason::Auth,
                format!(
                    "the registry {} wants to know who asks for {what}, but not in a way we know",
                    self.name()
                ),
            ));
        };
        let credentials = self.credentials().await;
        match (challenge, credentials) {
            (Challenge::Basic, Some(Credentials::Password { user, secret })) => {
                Ok(credentials::basic(&user, &secret))
            }
            (Challenge::Basic, _) => Err(self.denied(what, "")),
            (Challenge::Bearer { .. }, Some(Credentials::RegistryToken(token))) => {
                credentials::bearer(&token)
            }
            (Challenge::Bearer { realm, service }, credentials) => {
                let wanted = token::Wanted {
                    realm: &realm,
                    service: service.as_deref(),
                    what,
                };
                token::fetch(self, &wanted, credentials.as_ref()).await
            }
        }
    }

    /// Looked up only when a registry asks, so that helpers do not run for nothing.
    async fn credentials(&self) -> Option<Credentials> {
        let files = credentials::files(self.registries.docker_config.as_deref());
        match credentials::find(&files, &self.endpoint.name, &self.endpoint.repository).await {
            Found::Credentials(found) => {
                self.signed_in.store(true, Ordering::Relaxed);
                Some(found)
            }
            Found::Nothing { note } => {
                *self.note.lock().unwrap_or_else(PoisonError::into_inner) = note;
                None
            }
        }
    }

    /// No access: what that means depends on who has asked whom. `said` are the registry's words, in parentheses.
    pub(super) fn denied(&self, what: &str, said: &str) -> Failure {
        let name = self.name();
        if self.endpoint.is_hub() {
            // It does not tell whether a repository exists.
            return Failure::new(
                Reason::NotFound,
                format!("{what} does not exist on {name}, or it is private"),
            )
            .hint(self.sign_in_hint("check the name, or sign in with `docker login`"));
        }
        if self.signed_in.load(Ordering::Relaxed) {
            return self.rejected(what, said);
        }
        Failure::new(
            Reason::Auth,
            format!("the registry {name} wants credentials for {what}{said}"),
        )
        .hint(self.sign_in_hint(&format!(
            "sign in with `docker login {name}`, or check the image's name"
        )))
    }

    /// The credentials that we have are not the right ones.
    pub(super) fn rejected(&self, what: &str, said: &str) -> Failure {
        let name = self.name();
        Failure::new(
            Reason::Auth,
            format!("the registry {name} does not accept the credentials for {what}{said}"),
        )
        .hint(format!("sign in again with `docker login {name}`"))
    }

    fn sign_in_hint(&self, hint: &str) -> String {
        match &*self.note.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(note) => format!("{hint} ({note})"),
            None => hint.to_owned(),
        }
    }

    /// The authorities that are trusted for a host that this registry names.
    pub(super) fn authorities_for(&self, host: &str) -> Option<PathBuf> {
        let own = self
            .registries
            .hosts
            .get(host)
            .and_then(|settings| settings.ca.clone());
        own.or_else(|| self.endpoint.ca.clone())
    }
}
