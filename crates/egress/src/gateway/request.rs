//! What a gateway is asked, and what it says: one line of JSON each where it runs in a process of its own.

use std::net::SocketAddr;

use agentkernel_backend::{BoundPort, Error};
use agentkernel_types::{ErrorKind, NetworkEvent, Protocol, PublishedPort, TimedPolicy};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Question {
    Policy,
    Apply(TimedPolicy),
    Published,
    Publish(PublishedPort),
    Unpublish(SocketAddr, Protocol),
    Events(usize),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Policy(TimedPolicy),
    Done,
    Published(Vec<BoundPort>),
    Bound(BoundPort),
    Events(Vec<NetworkEvent>),
    Failed(Failure),
}

/// An error of the contract, as far as it goes over a socket.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    causes: Option<String>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.message().to_owned(),
            hint: error.hint_text().map(str::to_owned),
            causes: std::error::Error::source(&error).map(ToString::to_string),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let mut error = Self::new(failure.kind, "network", failure.message);
        if let Some(hint) = failure.hint {
            error = error.hint(hint);
        }
        match failure.causes {
            Some(causes) => error.because(causes),
            None => error,
        }
    }
}
