//! The distribution protocol: whom to ask, how to sign in, and what answers mean.

mod answer;
mod challenge;
mod client;
mod endpoint;
mod session;
mod token;

pub(crate) use answer::read_bounded;
pub(crate) use client::Clients;
pub(crate) use endpoint::{Endpoint, endpoints};
pub(crate) use session::{Ask, Session};
