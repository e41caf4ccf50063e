//! Images, by journey: from a registry, a file or an engine into the store, and into a sandbox.
//!
//! Every registry is on loopback and every image is made here: nothing is fetched from the world, except that the
//! roots of languages are made of the distribution's packages.

mod configuration;
mod crash;
mod credentials;
mod failures;
mod files;
mod hostile;
mod kept;
mod languages;
mod offline;
mod policy;
mod progress;
mod pull;
mod setting;
mod sharing;
mod store;
mod trust;
