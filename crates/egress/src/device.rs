//! A device as a descriptor and a word, so that another process can be given it.

use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use crate::Device;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Tun { offload: bool },
    Packets,
}

impl Device {
    pub(crate) fn into_parts(self) -> (Kind, OwnedFd) {
        match self {
            Self::Tun { descriptor, offload } => (Kind::Tun { offload }, descriptor),
            Self::Packets(descriptor) => (Kind::Packets, descriptor),
        }
    }

    pub(crate) fn from_parts(kind: Kind, descriptor: OwnedFd) -> Self {
        match kind {
            Kind::Tun { offload } => Self::Tun { descriptor, offload },
            Kind::Packets => Self::Packets(descriptor),
        }
    }
}
