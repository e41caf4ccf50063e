//! Numbers that nobody in a sandbox can guess: sequence numbers, identifiers of questions, ports.

/// From the kernel. Where it refuses, the address of a fresh allocation and the clock: worse, but never a constant.
pub(crate) fn number() -> u64 {
    let mut bytes = [0u8; 8];
    // SAFETY: writes at most eight bytes into an array of eight.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if got == 8 {
        return u64::from_ne_bytes(bytes);
    }
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::time::Instant::now())
}
