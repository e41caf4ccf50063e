//! A device as a descriptor and a word, so that another process can be given it.

use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use crate::Device;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Tun { offload: bool },
    Frames { sandbox: [u8; 6], gateway: [u8; 6] },
    Packets,
}

impl Device {
    pub(crate) fn into_parts(self) -> (Kind, OwnedFd) {
        match self {
            Self::Tun { descriptor, offload } => (Kind::Tun { offload }, descriptor),
            Self::Frames {
                descriptor,
                sandbox,
                gateway,
            } => (Kind::Frames { sandbox, gateway }, descriptor),
            Self::Packets(descriptor) => (Kind::Packets, descriptor),
        }
    }

    pub(crate) fn from_parts(kind: Kind, descriptor: OwnedFd) -> Self {
        match kind {
            Kind::Tun { offload } => Self::Tun { descriptor, offload },
            Kind::Frames { sandbox, gateway } => Self::Frames {
                descriptor,
                sandbox,
                gateway,
            },
            Kind::Packets => Self::Packets(descriptor),
        }
    }
}
