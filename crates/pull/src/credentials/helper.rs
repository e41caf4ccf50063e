//! Programs that keep credentials: `docker-credential-NAME get`, with the registry on its stdin.

use std::{io, process::Stdio, time::Duration};

use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
};

use super::Credentials;
use crate::{failure::printable, secret::Secret};

/// A helper may ask for a finger or a password.
const PATIENCE: Duration = Duration::from_secs(30);
const ANSWER_BYTES: u64 = 64 << 10;
/// What helpers say when they have nothing.
const NOTHING: &str = "credentials not found";
/// In place of a user's name, where the secret is a token.
const TOKEN_USER: &str = "<token>";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// None: it knows none. The error is one that may be shown.
pub(super) async fn get(name: &str, registry: &str) -> Result<Option<Credentials>, String> {
    // A part of a program's name and nothing else: no path.
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(valid) {
        return Err(format!("{:?} is no name of a credential helper", printable(name)));
    }
    let program = format!("docker-credential-{name}");
    let child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => format!("{program} is not installed"),
            _ => format!("cannot run {program}: {error}"),
        })?;
    match tokio::time::timeout(PATIENCE, converse(child, registry)).await {
        Ok(Ok((success, answer))) => judge(&program, success, &answer),
        Ok(Err(error)) => Err(format!("{program} failed: {error}")),
        Err(_) => Err(format!("{program} does not answer")),
    }
}

async fn converse(mut child: Child, registry: &str) -> io::Result<(bool, Vec<u8>)> {
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read may still answer.
        let _ = stdin.write_all(registry.as_bytes()).await;
    }
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(ANSWER_BYTES).read_to_end(&mut answer).await?;
    }
    // Its end of the pipe is closed now, so one that goes on talking ends.
    Ok((child.wait().await?.success(), answer))
}

fn judge(program: &str, success: bool, answer: &[u8]) -> Result<Option<Credentials>, String> {
    if !success {
        let said = String::from_utf8_lossy(answer);
        return match said.contains(NOTHING) {
            true => Ok(None),
            false => Err(format!("{program} failed: {}", printable(&said))),
        };
    }
    let answer: Answer =
        serde_json::from_slice(answer).map_err(|_| format!("{program} gives no valid answer"))?;
    let secret = Secret::new(answer.secret);
    Ok(match answer.username.as_str() {
        "" => None,
        TOKEN_USER => Some(Credentials::IdentityToken(secret)),
        user => Some(Credentials::Password {
            user: user.to_owned(),
            secret,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_is_a_path_or_an_option_is_refused() {
        for name in ["", "../evil", "a/b", "a b", "x;y", "\u{e9}"] {
            assert!(
                get(name, "a.example")
                    .await
                    .is_err_and(|why| why.contains("no name")),
                "{name:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_helper_that_is_not_there_is_named() {
        let why = get("agentkernel-test-none", "a.example")
            .await
            .expect_err("not installed");
        assert_eq!(why, "docker-credential-agentkernel-test-none is not installed");
    }

    #[test]
    fn answers_are_judged() {
        let password = judge("p", true, br#"{"ServerURL":"x","Username":"ann","Secret":"s"}"#);
        assert!(matches!(password, Ok(Some(Credentials::Password { user, .. })) if user == "ann"));
        let token = judge("p", true, br#"{"Username":"<token>","Secret":"s"}"#);
        assert!(matches!(token, Ok(Some(Credentials::IdentityToken(_)))));
        assert!(matches!(
            judge("p", false, b"credentials not found in native keychain\n"),
            Ok(None)
        ));
        assert!(judge("p", false, b"locked\n").is_err_and(|why| why == "p failed: locked"));
        assert!(judge("p", true, b"secret").is_err_and(|why| !why.contains("secret")));
    }
}
