//! The only crate that names concrete backends: one row each, and its Cargo feature is the registration.

use agentkernel_backend::Descriptor;

/// All backends that were built in, in the order of preference among those of the same isolation grade.
pub fn descriptors() -> Vec<&'static Descriptor> {
    vec![
        #[cfg(feature = "native")]
        &agentkernel_native::DESCRIPTOR,
    ]
}

/// The word with which this program starts itself to carry the network of a kept sandbox. Nobody types it.
pub const NETWORK_VERB: &str = "carry-network";

/// What the program is for if its first argument is a word that it only says to itself: its exit code, at the end.
pub fn own_verb(first: &std::ffi::OsStr) -> Option<u8> {
    #[cfg(feature = "native")]
    if first == NETWORK_VERB {
        return Some(agentkernel_native::carry_network());
    }
    let _ = first;
    None
}
