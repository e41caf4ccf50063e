//! `config.json` of Docker and `auth.json` of Podman.

use std::{collections::BTreeMap, fs::File, io, io::Read as _, path::Path};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;

use super::Credentials;
use crate::secret::Secret;

const FILE_BYTES: u64 = 1 << 20;
const HUB: &str = "docker.io";
/// Docker's key for its own registry.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Some write the padding and some do not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// No `Debug`: it holds secrets as they were read.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ConfigFile {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// None: there is no such file. The error is one that may be shown: where, and not what.
pub(super) fn read(path: &Path) -> Result<Option<ConfigFile>, String> {
    let unreadable = |error: io::Error| format!("cannot read {}: {error}", path.display());
    let file = match File::open(path) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        opened => opened.map_err(unreadable)?,
    };
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(format!("{} is not a file", path.display()));
    }
    let mut text = Vec::new();
    file.take(FILE_BYTES).read_to_end(&mut text).map_err(unreadable)?;
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        format!(
            "{} is not valid: line {}, column {}",
            path.display(),
            error.line(),
            error.column()
        )
    })
}

/// What a helper is asked for.
pub(super) fn helper_key(registry: &str) -> &str {
    if registry == HUB { HUB_KEY } else { registry }
}

impl ConfigFile {
    /// The helper that knows this registry's credentials.
    pub(super) fn helper(&self, registry: &str) -> Option<&str> {
        let own = self
            .cred_helpers
            .get(registry)
            .or_else(|| self.cred_helpers.get(helper_key(registry)));
        own.or(self.creds_store.as_ref())
            .map(String::as_str)
            .filter(|name| !name.is_empty())
    }

    /// Credentials that stand in the file. The error is one that may be shown.
    pub(super) fn stored(&self, registry: &str, repository: &str) -> Result<Option<Credentials>, String> {
        match self.entry(registry, repository) {
            Some((key, entry)) => entry
                .credentials()
                .map_err(|why| format!("the entry {key:?} {why}")),
            None => Ok(None),
        }
    }

    /// The most particular one: Podman's keys may name a repository or a part of its path.
    fn entry(&self, registry: &str, repository: &str) -> Option<(&String, &Entry)> {
        let path = format!("{registry}/{repository}");
        let paths = path.match_indices('/').map(|(at, _)| &path[..at]).rev();
        for key in [path.as_str()].into_iter().chain(paths) {
            if let Some(found) = self.auths.get_key_value(key) {
                return Some(found);
            }
        }
        self.auths.iter().find(|(key, _)| host_of(key) == registry)
    }
}

/// The host that an older kind of key stands for: `https://HOST/v1/`.
fn host_of(key: &str) -> &str {
    let rest = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"));
    let Some(rest) = rest else { return "" };
    let host = rest.split('/').next().unwrap_or_default();
    if matches!(host, "index.docker.io" | "registry-1.docker.io") {
        HUB
    } else {
        host
    }
}

impl Entry {
    fn credentials(&self) -> Result<Option<Credentials>, &'static str> {
        let filled = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
        if let Some(token) = filled(&self.identitytoken) {
            return Ok(Some(Credentials::IdentityToken(Secret::new(token))));
        }
        if let Some(token) = filled(&self.registrytoken) {
            return Ok(Some(Credentials::RegistryToken(Secret::new(token))));
        }
        let password = |user: &str, secret: &str| {
            let secret = Secret::new(secret);
            Some(Credentials::Password {
                user: user.to_owned(),
                secret,
            })
        };
        let Some(auth) = filled(&self.auth) else {
            return Ok(match (filled(&self.username), filled(&self.password)) {
                (Some(user), Some(secret)) => password(&user, &secret),
                // Docker leaves empty entries where a helper has the credentials.
                _ => None,
            });
        };
        let decoded = BASE64.decode(auth.trim()).map_err(|_| "is not base64")?;
        let text = String::from_utf8(decoded).map_err(|_| "is not text")?;
        let (user, secret) = text.split_once(':').ok_or("has no password")?;
        // Old versions of Docker pad with zeros.
        Ok(password(user, secret.trim_end_matches('\0')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config(json: &str) -> ConfigFile {
        serde_json::from_str(json).expect("valid")
    }

    fn found(json: &str, registry: &str, repository: &str) -> Option<String> {
        match config(json).stored(registry, repository).expect("valid")? {
            Credentials::Password { user, secret } => Some(format!("{user}:{}", secret.reveal())),
            Credentials::IdentityToken(token) => Some(format!("identity {}", token.reveal())),
            Credentials::RegistryToken(token) => Some(format!("registry {}", token.reveal())),
        }
    }

    #[test]
    fn every_way_to_name_a_registry_is_found() {
        // ann:secret
        let auth = r#"{"auth":"YW5uOnNlY3JldA=="}"#;
        let cases = [
            ("https://index.docker.io/v1/", "docker.io", true),
            ("docker.io", "docker.io", true),
            ("docker.io/library", "docker.io", true),
            ("a.example:5000", "a.example:5000", true),
            ("https://a.example:5000", "a.example:5000", true),
            ("https://a.example:5000/v2/", "a.example:5000", true),
            ("a.example", "a.example:5000", false),
            ("https://a.example.evil/", "a.example", false),
            ("evil/https://a.example/", "a.example", false),
            ("", "a.example", false),
        ];
        for (key, registry, expected) in cases {
            let json = format!(r#"{{"auths":{{"{key}":{auth}}}}}"#);
            let found = found(&json, registry, "library/x");
            assert_eq!(found.is_some(), expected, "{key} for {registry}");
            assert!(found.is_none_or(|found| found == "ann:secret"));
        }
    }

    #[test]
    fn the_most_particular_entry_wins() {
        let json = r#"{"auths":{
            "a.example":{"username":"host","password":"1"},
            "a.example/team":{"username":"team","password":"2"},
            "a.example/team/app":{"identitytoken":"3"}}}"#;
        assert_eq!(
            found(json, "a.example", "team/app").as_deref(),
            Some("identity 3")
        );
        assert_eq!(found(json, "a.example", "team/other").as_deref(), Some("team:2"));
        assert_eq!(found(json, "a.example", "teams").as_deref(), Some("host:1"));
    }

    #[test]
    fn a_helper_for_one_registry_goes_before_the_one_for_all() {
        let config = config(
            r#"{"credHelpers":{"a.example":"one","https://index.docker.io/v1/":"hub"},"credsStore":"all"}"#,
        );
        assert_eq!(config.helper("a.example"), Some("one"));
        assert_eq!(config.helper("docker.io"), Some("hub"));
        assert_eq!(config.helper("b.example"), Some("all"));
    }

    #[test]
    fn a_damaged_entry_is_named_without_its_content() {
        for auth in ["!!!!", "c2VjcmV0", "/////w=="] {
            let json = format!(r#"{{"auths":{{"a.example":{{"auth":"{auth}"}}}}}}"#);
            let why = config(&json).stored("a.example", "x").expect_err("damaged");
            assert!(
                why.contains("a.example") && !why.contains(auth) && !why.contains("secret"),
                "{why}"
            );
        }
    }

    proptest! {
        #[test]
        fn passwords_survive_the_way_through_the_file(user in "[^:\0]{1,20}", secret in "[^\0]{1,40}") {
            let auth = BASE64.encode(format!("{user}:{secret}"));
            let json = format!(r#"{{"auths":{{"a.example":{{"auth":"{auth}"}}}}}}"#);
            prop_assert_eq!(found(&json, "a.example", "x"), Some(format!("{user}:{secret}")));
        }
    }
}
