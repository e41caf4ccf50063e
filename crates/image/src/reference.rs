//! Names of images as Docker users write them.

use std::{fmt, str::FromStr};

use agentkernel_types::{Digest, ParseError};

/// `[REGISTRY[:PORT]/]REPOSITORY[:TAG][@DIGEST]` in full: `alpine` is `docker.io/library/alpine:latest`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Reference(oci_spec::distribution::Reference);

impl Reference {
    pub fn registry(&self) -> &str {
        self.0.registry()
    }

    pub fn repository(&self) -> &str {
        self.0.repository()
    }

    pub fn tag(&self) -> Option<&str> {
        self.0.tag()
    }

    pub fn digest(&self) -> Option<Digest> {
        self.0.digest().and_then(|digest| digest.parse().ok())
    }

    /// For the registry client.
    pub fn inner(&self) -> &oci_spec::distribution::Reference {
        &self.0
    }
}

impl FromStr for Reference {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse()
            .map(Self)
            .map_err(|error| ParseError::new(format!("invalid image {text:?}: {error}")))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.whole())
    }
}
