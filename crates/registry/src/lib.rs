//! The only crate that names concrete backends: one row each, and its Cargo feature is the registration.

use agentkernel_backend::Descriptor;

/// All backends that were built in, in the order of preference among those of the same isolation grade.
pub fn descriptors() -> Vec<&'static Descriptor> {
    vec![
        #[cfg(feature = "native")]
        &agentkernel_native::DESCRIPTOR,
    ]
}
