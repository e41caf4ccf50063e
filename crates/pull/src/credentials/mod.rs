//! Credentials as Docker and Podman keep them. They are read when a registry asks, and belong to one host.

mod file;
mod helper;

use std::{
    env,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::header::HeaderValue;

use crate::{
    failure::{Failure, Outcome, Reason},
    secret::Secret,
};

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Credentials {
    Password {
        user: String,
        secret: Secret,
    },
    /// Exchanged for a token that lasts minutes.
    IdentityToken(Secret),
    /// Sent as it is.
    RegistryToken(Secret),
}

#[derive(Debug)]
pub(crate) enum Found {
    Credentials(Credentials),
    /// `note`: why, if that is worth telling.
    Nothing {
        note: Option<String>,
    },
}

/// The files that are looked into, in order. `only` replaces all of them.
pub(crate) fn files(only: Option<&Path>) -> Vec<PathBuf> {
    if let Some(only) = only {
        return vec![only.to_owned()];
    }
    let variable = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let docker = variable("DOCKER_CONFIG").or_else(|| Some(variable("HOME")?.join(".docker")));
    [
        variable("REGISTRY_AUTH_FILE"),
        docker.map(|folder| folder.join("config.json")),
        variable("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The credentials for a repository of a registry, from the first file that has any.
pub(crate) async fn find(files: &[PathBuf], registry: &str, repository: &str) -> Found {
    let mut note = None;
    for path in files {
        let config = match file::read(path) {
            Ok(Some(config)) => config,
            Ok(None) => continue,
            Err(why) => {
                note = Some(why);
                continue;
            }
        };
        if let Some(name) = config.helper(registry) {
            match helper::get(name, file::helper_key(registry)).await {
                Ok(Some(found)) => return Found::Credentials(found),
                Ok(None) => {}
                // Left over by a Docker that is no longer there, quite often.
                Err(why) => note = Some(why),
            }
        }
        match config.stored(registry, repository) {
            Ok(Some(found)) => return Found::Credentials(found),
            Ok(None) => {}
            Err(why) => note = Some(format!("{}: {why}", path.display())),
        }
    }
    Found::Nothing { note }
}

pub(crate) fn basic(user: &str, secret: &Secret) -> HeaderValue {
    let text = format!("Basic {}", STANDARD.encode(format!("{user}:{}", secret.reveal())));
    let mut value = HeaderValue::try_from(text).expect("base64 is printable");
    value.set_sensitive(true);
    value
}

pub(crate) fn bearer(token: &Secret) -> Outcome<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.reveal()))
        // The cause would show the token.
        .map_err(|_| Failure::new(Reason::Auth, "a registry gives a token that cannot be sent back"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_in_debug_output() {
        let all = [
            Credentials::Password {
                user: "ann".to_owned(),
                secret: Secret::new("hidden"),
            },
            Credentials::IdentityToken(Secret::new("hidden")),
            Credentials::RegistryToken(Secret::new("hidden")),
        ];
        for credentials in &all {
            assert!(!format!("{credentials:?}").contains("hidden"));
        }
        let headers = [
            basic("ann", &Secret::new("hidden")),
            bearer(&Secret::new("hidden")).expect("printable"),
        ];
        for header in headers {
            assert_eq!(format!("{header:?}"), "Sensitive");
        }
        assert!(
            bearer(&Secret::new("hid\nden")).is_err_and(|failure| !format!("{failure:?}").contains("hid"))
        );
    }
}
