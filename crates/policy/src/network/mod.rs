//! Where a sandbox may connect to: one policy, judged for names, addresses, connections and claimed names.
//!
//! Pure: no name is resolved and no socket opened. The caller asks at four moments, and each answer says why:
//! before a name is looked up ([`CompiledNetwork::resolve`]), for each address of an answer
//! ([`CompiledNetwork::address`]), before a connection ([`CompiledNetwork::connect`]), and when the bytes of a
//! connection claim a name ([`CompiledNetwork::authority`]) or none ([`CompiledNetwork::anonymous`]).

mod compiled;
mod verdict;

pub use compiled::CompiledNetwork;
pub use verdict::Verdict;
