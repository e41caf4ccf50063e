//! Where a sandbox may connect to: one policy, judged for names, addresses, connections and claimed names.
//!
//! Pure: no name is resolved and no socket opened. The caller asks at four moments, and each answer says why:
//! before a name is looked up ([`CompiledNetwork::resolve`]), for each address of an answer
//! ([`CompiledNetwork::address`]), before a connection ([`CompiledNetwork::connect`]), and when the bytes of a
//! connection claim a name ([`CompiledNetwork::authority`]) or none ([`CompiledNetwork::anonymous`]).
//!
//! The order of judgement is the same everywhere: what can never be reached, what a rule denies, what is walled
//! off unless a rule names exactly it (cloud metadata, private ranges), and then the mode.

mod claims;
mod compiled;
mod connections;
mod layers;
mod metadata;
mod names;
mod presets;
mod resolvers;
mod rules;
mod special;
mod verdict;
mod walls;

pub use compiled::CompiledNetwork;
pub use layers::{NetworkLayer, Tightened, layer_network, tighten_network};
pub use presets::{PRESETS, PRESETS_VERSION, Preset, find_preset};
pub use verdict::Verdict;
