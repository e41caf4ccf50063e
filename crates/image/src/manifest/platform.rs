//! Which image of an index is for this machine.

use std::fmt;

use super::{Entry, Index, unsupported};
use crate::{Result, config::host_architecture};

/// `linux/arm64/v8`, in the words of OCI.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    pub variant: Option<String>,
}

impl Platform {
    /// This machine. Its variant is left open: what every machine of that architecture runs is chosen.
    pub fn host() -> Self {
        Self {
            os: "linux".to_owned(),
            architecture: host_architecture().to_owned(),
            variant: None,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// The entry that fits best; of equal ones the first. An entry may lead to a further index.
pub fn choose_platform<'a>(index: &'a Index, wanted: &Platform) -> Result<&'a Entry> {
    let images: Vec<&Entry> = index
        .manifests
        .iter()
        .filter(|entry| !entry.is_attestation)
        .collect();
    if let [only] = images[..]
        && only.platform.is_none()
    {
        // Its configuration says what it is for, and is judged.
        return Ok(only);
    }
    let ranked = images.iter().filter_map(|entry| {
        let rank = rank(entry.platform.as_ref()?, wanted)?;
        Some((rank, *entry))
    });
    // `min_by_key` takes the first of equal ones.
    if let Some((_, entry)) = ranked.min_by_key(|(rank, _)| *rank) {
        return Ok(entry);
    }
    let mut offered: Vec<String> = images
        .iter()
        .filter_map(|entry| entry.platform.as_ref().map(Platform::to_string))
        .collect();
    offered.sort();
    offered.dedup();
    offered.truncate(20);
    let error = unsupported(format!("the image is not made for {wanted}")).with("field", "image");
    Err(match offered.is_empty() {
        true => error,
        false => error.hint(format!("it is made for {}", offered.join(", "))),
    })
}

/// None: it cannot run there. The smallest is the best.
fn rank(offered: &Platform, wanted: &Platform) -> Option<usize> {
    if offered.os != wanted.os || offered.architecture != wanted.architecture {
        return None;
    }
    // From the newest to what every machine of that name has; an image without a variant is for `plain`.
    let (variants, plain): (&[&str], &str) = match offered.architecture.as_str() {
        "amd64" => (&["v4", "v3", "v2", "v1"], "v1"),
        "arm64" => (&["v8"], "v8"),
        "arm" => (&["v8", "v7", "v6", "v5"], "v7"),
        _ => (&[], ""),
    };
    let place = |variant: &Option<String>| {
        let variant = variant.as_deref().unwrap_or(plain);
        variants.iter().position(|known| *known == variant)
    };
    match (place(&offered.variant), place(&wanted.variant)) {
        // The machine runs its own variant and all older ones.
        (Some(offered), Some(wanted)) => offered.checked_sub(wanted),
        _ => (offered.variant == wanted.variant).then_some(0),
    }
}
