//! Where an image may be fetched from: its mirrors in order, then the registry itself.

use std::{collections::BTreeMap, path::PathBuf};

use agentkernel_image::Reference;

use crate::RegistrySettings;

const HUB: &str = "docker.io";
/// Docker Hub serves its images from another host than its name says.
const HUB_HOST: &str = "registry-1.docker.io";

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Endpoint {
    /// As users know it: the key of its settings and its credentials.
    pub(crate) name: String,
    /// With scheme, host and prefix; no slash at the end.
    base: String,
    pub(crate) insecure: bool,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) is_mirror: bool,
    /// In its own words: a mirror may have a prefix.
    pub(crate) repository: String,
}

impl Endpoint {
    fn new(
        hosts: &BTreeMap<String, RegistrySettings>,
        place: &str,
        repository: &str,
        is_mirror: bool,
    ) -> Self {
        let (place, plain) = match (place.strip_prefix("http://"), place.strip_prefix("https://")) {
            (Some(rest), _) => (rest, true),
            (_, Some(rest)) => (rest, false),
            _ => (place, false),
        };
        let (name, prefix) = place
            .trim_end_matches('/')
            .split_once('/')
            .unwrap_or((place.trim_end_matches('/'), ""));
        let settings = hosts.get(name).cloned().unwrap_or_default();
        let insecure = plain || settings.insecure;
        let scheme = if insecure { "http" } else { "https" };
        let host = if name == HUB { HUB_HOST } else { name };
        let repository = match prefix {
            "" => repository.to_owned(),
            prefix => format!("{prefix}/{repository}"),
        };
        Self {
            name: name.to_owned(),
            base: format!("{scheme}://{host}"),
            insecure,
            ca: settings.ca,
            is_mirror,
            repository,
        }
    }

    pub(crate) fn is_hub(&self) -> bool {
        self.name == HUB
    }

    /// `kind` is `manifests` or `blobs`.
    pub(crate) fn url(&self, kind: &str, name: &str) -> String {
        format!("{}/v2/{}/{kind}/{name}", self.base, self.repository)
    }
}

/// At least one: the registry itself is the last.
pub(crate) fn endpoints(hosts: &BTreeMap<String, RegistrySettings>, reference: &Reference) -> Vec<Endpoint> {
    let registry = reference.registry();
    let mirrors = hosts
        .get(registry)
        .map(|settings| settings.mirrors.as_slice())
        .unwrap_or_default();
    mirrors
        .iter()
        .map(|mirror| (mirror.as_str(), true))
        .chain([(registry, false)])
        .map(|(place, is_mirror)| Endpoint::new(hosts, place, reference.repository(), is_mirror))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(hosts: &[(&str, RegistrySettings)], image: &str) -> Vec<String> {
        let hosts = hosts
            .iter()
            .map(|(name, settings)| ((*name).to_owned(), settings.clone()))
            .collect();
        let reference: Reference = image.parse().expect("a valid name");
        endpoints(&hosts, &reference)
            .iter()
            .map(|endpoint| endpoint.url("manifests", "x"))
            .collect()
    }

    #[test]
    fn docker_hub_lives_on_another_host() {
        assert_eq!(
            urls(&[], "alpine"),
            ["https://registry-1.docker.io/v2/library/alpine/manifests/x"]
        );
    }

    #[test]
    fn plain_http_is_for_configured_hosts_only() {
        let insecure = RegistrySettings {
            insecure: true,
            ..RegistrySettings::default()
        };
        let hosts = [("a.example:5000", insecure)];
        assert_eq!(
            urls(&hosts, "a.example:5000/x"),
            ["http://a.example:5000/v2/x/manifests/x"]
        );
        assert_eq!(
            urls(&hosts, "a.example/x"),
            ["https://a.example/v2/x/manifests/x"]
        );
        assert_eq!(
            urls(&hosts, "localhost:5000/x"),
            ["https://localhost:5000/v2/x/manifests/x"]
        );
    }

    #[test]
    fn mirrors_come_first_with_their_own_settings() {
        let hub = RegistrySettings {
            mirrors: vec!["https://one.example/".to_owned(), "two.example:81/hub".to_owned()],
            ..RegistrySettings::default()
        };
        let two = RegistrySettings {
            insecure: true,
            ..RegistrySettings::default()
        };
        assert_eq!(
            urls(&[("docker.io", hub), ("two.example:81", two)], "alpine"),
            [
                "https://one.example/v2/library/alpine/manifests/x",
                "http://two.example:81/v2/hub/library/alpine/manifests/x",
                "https://registry-1.docker.io/v2/library/alpine/manifests/x",
            ]
        );
    }
}
