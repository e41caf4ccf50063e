//! The registry of the environment variables that set something here.

use agentkernel_types::ParseError;

use crate::{Overrides, Sources, error::ConfigError};

/// One documented variable. An empty value counts as unset.
#[derive(Debug)]
pub struct Variable {
    pub name: &'static str,
    /// The key or flag that it stands for.
    pub key: &'static str,
    pub summary: &'static str,
    read: fn(&mut Overrides, &str) -> Result<(), ParseError>,
}

pub const PROFILE: &str = "AGENTKERNEL_PROFILE";
pub const BACKEND: &str = "AGENTKERNEL_BACKEND";
pub const IMAGE: &str = "AGENTKERNEL_IMAGE";
pub const ISOLATION: &str = "AGENTKERNEL_ISOLATION";
pub const NETWORK: &str = "AGENTKERNEL_NETWORK";
pub const PULL: &str = "AGENTKERNEL_PULL";

pub const VARIABLES: &[Variable] = &[
    Variable {
        name: PROFILE,
        key: "--profile",
        summary: "the security profile: permissive, moderate or restrictive",
        read: |into, text| text.parse().map(|profile| into.profile = Some(profile)),
    },
    Variable {
        name: BACKEND,
        key: "--backend",
        summary: "the backend that makes the sandbox",
        read: |into, text| text.parse().map(|backend| into.backend = Some(backend)),
    },
    Variable {
        name: IMAGE,
        key: "--image",
        summary: "the image: `host` or a reference such as `python:3.12-alpine`",
        read: |into, text| text.parse().map(|image| into.image = Some(image)),
    },
    Variable {
        name: ISOLATION,
        key: "--isolation",
        summary: "the weakest isolation grade that will do",
        read: |into, text| text.parse().map(|grade| into.isolation = Some(grade)),
    },
    Variable {
        name: NETWORK,
        key: "--network",
        summary: "the network mode: none, allowlist, public, open or host",
        read: |into, text| text.parse().map(|mode| into.network = Some(mode)),
    },
    Variable {
        name: PULL,
        key: "--pull",
        summary: "when registries are asked for images: always, missing or never",
        read: |into, text| text.parse().map(|policy| into.pull = Some(policy)),
    },
];

/// Reads the documented variables. If one is there twice, the first counts, as `getenv` has it.
pub(crate) fn read(sources: &Sources) -> Result<Overrides, ConfigError> {
    let mut overrides = Overrides::default();
    for variable in VARIABLES {
        let found = sources.environment.iter().find(|(name, _)| name == variable.name);
        let Some((_, value)) = found.filter(|(_, value)| !value.is_empty()) else {
            continue;
        };
        (variable.read)(&mut overrides, value).map_err(|error| {
            ConfigError::invalid(format!("{}: {error}", variable.name))
                .with_hint(format!("unset {} or pass {}", variable.name, variable.key))
        })?;
    }
    Ok(overrides)
}
