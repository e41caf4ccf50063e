//! What an answer means, and its body within bounds.

use std::time::Duration;

use reqwest::{
    Response, StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};
use serde::Deserialize;

use crate::failure::{Again, Failure, Outcome, Reason, from_request, printable, timed_out};

/// Of the text in which a registry explains a failure.
const EXPLANATION_BYTES: usize = 64 << 10;
const EXPLANATION_TIME: Duration = Duration::from_secs(5);

/// The whole body, if it is not larger than `limit`.
pub(crate) async fn read_bounded(
    host: &str,
    response: &mut Response,
    limit: usize,
    stall: Duration,
) -> Outcome<Vec<u8>> {
    let too_large = || {
        Failure::new(
            Reason::Protocol,
            format!("the registry {host} sends more than the {limit} bytes that this may have"),
        )
    };
    if response
        .content_length()
        .is_some_and(|length| length > limit as u64)
    {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = next_chunk(host, response, stall).await? {
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// None: the body is complete.
pub(crate) async fn next_chunk(
    host: &str,
    response: &mut Response,
    stall: Duration,
) -> Outcome<Option<bytes::Bytes>> {
    match tokio::time::timeout(stall, response.chunk()).await {
        Ok(Ok(chunk)) => Ok(chunk),
        // Whatever it is: the registry was there a moment ago.
        Ok(Err(error)) => Err(from_request(host, error).again(Again::Soon)),
        Err(_) => Err(timed_out(host, false)),
    }
}

#[derive(Deserialize)]
struct Envelope {
    errors: Vec<Explanation>,
}

#[derive(Deserialize)]
struct Explanation {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// The failure that a status stands for. `what` is the image or the blob that was asked for.
pub(crate) async fn refusal(host: &str, what: &str, response: Response, stall: Duration) -> Failure {
    let status = response.status();
    let wait = retry_after(response.headers());
    let said = words(host, response, stall).await;
    let again = wait.map_or(Again::Soon, Again::After);
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            Failure::new(Reason::NotFound, format!("{what} does not exist on {host}"))
                .hint("check the name and the tag")
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::new(
            Reason::Auth,
            format!("the registry {host} denies access to {what}{said}"),
        ),
        StatusCode::TOO_MANY_REQUESTS => {
            let when = wait.map_or(String::new(), |wait| {
                format!("; it allows more in {} s", wait.as_secs())
            });
            Failure::new(Reason::RateLimit, format!("the registry {host} allows no more requests for now{when}"))
                .again(again)
                .hint(format!("sign in with `docker login {host}` for a higher limit, or set a mirror in [registries.\"{host}\"]"))
        }
        StatusCode::REQUEST_TIMEOUT => broken(host, status, &said).again(again),
        status if status.is_server_error() => broken(host, status, &said).again(again).hint(format!(
            "the registry is in trouble: try again later, or set a mirror in [registries.\"{host}\"]"
        )),
        StatusCode::BAD_REQUEST => broken(host, status, &said).hint(format!(
            "if it speaks TLS, remove insecure = true from [registries.\"{host}\"]"
        )),
        status => broken(host, status, &said),
    }
}

/// How the registry explains itself: ` (...)`, or nothing.
pub(crate) async fn words(host: &str, mut response: Response, stall: Duration) -> String {
    // A body that cannot be read changes nothing in what the status says.
    let reading = read_bounded(host, &mut response, EXPLANATION_BYTES, stall);
    match tokio::time::timeout(EXPLANATION_TIME.min(stall), reading).await {
        Ok(Ok(body)) => explanation(&body).unwrap_or_default(),
        _ => String::new(),
    }
}

fn broken(host: &str, status: StatusCode, said: &str) -> Failure {
    Failure::new(
        Reason::Protocol,
        format!("the registry {host} answers {}{said}", status.as_u16()),
    )
}

fn explanation(body: &[u8]) -> Option<String> {
    let envelope: Envelope = serde_json::from_slice(body).ok()?;
    let first = envelope.errors.into_iter().next()?;
    let text = if first.message.is_empty() {
        first.code
    } else {
        first.message
    };
    let text = printable(&text);
    (!text.is_empty()).then(|| format!(" ({text})"))
}

/// Seconds only: the form with a date is for humans' clocks, and no registry sends it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_own_words_are_cut_to_one_printable_line() {
        let body = br#"{"errors":[{"code":"DENIED","message":"no\u001b[31m\nway"}]}"#;
        assert_eq!(explanation(body).as_deref(), Some(" (no [31m way)"));
        assert_eq!(explanation(b"<html>"), None);
        assert_eq!(explanation(br#"{"errors":[]}"#), None);
        assert_eq!(
            explanation(br#"{"errors":[{"code":"DENIED"}]}"#).as_deref(),
            Some(" (DENIED)")
        );
    }
}
