//! Tokens: the registry names a server, that server gives one for pulling from one repository.
//!
//! The server that is named may be another host than the registry (Docker Hub's is). So it gets the registry's
//! credentials only over TLS, unless the user has said that this very host is to be used without it.

use reqwest::{
    RequestBuilder, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;

use super::{
    Session,
    answer::{read_bounded, refusal, words},
};
use crate::{
    credentials::{self, Credentials},
    failure::{Failure, Outcome, Reason, printable},
    secret::Secret,
};

const TOKEN_BYTES: usize = 256 << 10;
const CLIENT_ID: &str = "agentkernel";

pub(crate) struct Wanted<'a> {
    pub(crate) realm: &'a str,
    pub(crate) service: Option<&'a str>,
    /// For messages.
    pub(crate) what: &'a str,
}

#[derive(Deserialize)]
struct Granted {
    token: Option<String>,
    access_token: Option<String>,
}

pub(crate) async fn fetch(
    session: &Session<'_>,
    wanted: &Wanted<'_>,
    credentials: Option<&Credentials>,
) -> Outcome<HeaderValue> {
    let realm = check_realm(session, wanted.realm, credentials.is_some())?;
    let request = request(session, wanted, realm, credentials)?;
    let mut response = session.send(request).await?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let said = words(session.name(), response, session.patience.stall).await;
            return Err(match credentials {
                Some(_) => session.rejected(wanted.what, &said),
                None => session.denied(wanted.what, &said),
            });
        }
        _ => return Err(refusal(session.name(), "a token", response, session.patience.stall).await),
    }
    let body = read_bounded(session.name(), &mut response, TOKEN_BYTES, session.patience.stall).await?;
    let granted: Option<Granted> = serde_json::from_slice(&body).ok();
    let token = granted.and_then(|granted| granted.token.or(granted.access_token));
    match token {
        Some(token) if !token.is_empty() => credentials::bearer(&Secret::new(token)),
        _ => Err(Failure::new(
            Reason::Auth,
            format!(
                "the registry {} gives no token for {}",
                session.name(),
                wanted.what
            ),
        )),
    }
}

/// Where it may go, and with what.
fn check_realm(session: &Session<'_>, realm: &str, secret: bool) -> Outcome<Url> {
    let name = session.name();
    let shown = printable(realm);
    let wrong = |why: &str| {
        Failure::new(
            Reason::Auth,
            format!("the registry {name} sends for a token to {shown:?}, {why}"),
        )
    };
    let url = Url::parse(realm).map_err(|_| wrong("which is no address"))?;
    let host = host_of(&url).ok_or_else(|| wrong("which is no host"))?;
    let settings = session.registries.hosts.get(&host);
    let plain_is_meant = settings.is_some_and(|settings| settings.insecure)
        || (session.endpoint.insecure && host == session.endpoint.name);
    match url.scheme() {
        "https" => Ok(url),
        "http" if plain_is_meant => Ok(url),
        // Nothing is lost: the registry is plain HTTP itself, and nobody's credentials are sent.
        "http" if session.endpoint.insecure && !secret => Ok(url),
        "http" => Err(wrong("where credentials could be read on the way").hint(format!(
            "if that is meant, set insecure = true in [registries.\"{host}\"]"
        ))),
        _ => Err(wrong("which is neither https nor http")),
    }
}

/// As it stands in the settings.
fn host_of(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

fn request(
    session: &Session<'_>,
    wanted: &Wanted<'_>,
    mut realm: Url,
    credentials: Option<&Credentials>,
) -> Outcome<RequestBuilder> {
    let host = host_of(&realm).unwrap_or_default();
    let authorities = session.authorities_for(&host);
    // A redirect would take the refresh token in the body along.
    let follows = !matches!(credentials, Some(Credentials::IdentityToken(_)));
    let client = session
        .clients
        .get(authorities.as_deref(), session.connect_timeout, follows)?;
    let scope = format!("repository:{}:pull", session.endpoint.repository);
    if let Some(Credentials::IdentityToken(identity)) = credentials {
        let form = form(&[
            ("grant_type", "refresh_token"),
            ("service", wanted.service.unwrap_or_default()),
            ("client_id", CLIENT_ID),
            ("scope", &scope),
            ("refresh_token", identity.reveal()),
        ]);
        let request = client
            .post(realm)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        return Ok(request.body(form));
    }
    // Its own user information would be sent as credentials.
    let _ = realm.set_username("");
    let _ = realm.set_password(None);
    if let Some(service) = wanted.service {
        realm.query_pairs_mut().append_pair("service", service);
    }
    realm.query_pairs_mut().append_pair("scope", &scope);
    let request = client.get(realm);
    Ok(match credentials {
        Some(Credentials::Password { user, secret }) => {
            request.header(AUTHORIZATION, credentials::basic(user, secret))
        }
        _ => request,
    })
}

fn form(fields: &[(&str, &str)]) -> String {
    let mut url = Url::parse("http://form").expect("a constant address");
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_keeps_every_character_of_a_secret() {
        assert_eq!(form(&[("a", "x&y=z+ %"), ("b", "")]), "a=x%26y%3Dz%2B+%25&b=");
    }
}
