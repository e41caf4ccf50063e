//! The use cases: run, create, exec, copy, stop, remove, gc. It plans, chooses a backend and keeps the order of steps.
//!
//! It knows the contract and never a backend: those come in as descriptors. It never prints: what a person should
//! know is an event, a reply or an error with a hint.

mod choose;
mod connect;
mod copy;
mod doctor;
mod engine;
mod exec;
mod facts;
mod failure;
mod gc;
mod guard;
mod identity;
mod images;
mod inject;
mod kept;
mod lifecycle;
mod network;
mod plan;
mod run;
mod timeout;

pub use engine::{Engine, EngineOptions};
