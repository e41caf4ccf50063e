//! Names and numbers that nobody has used before.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use agentkernel_types::{ExecId, SandboxId, SandboxName};

/// Seeded by the system once a thread, mixed with the time and a counter: unique, not secret.
fn random_bits() -> u64 {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(COUNTER.fetch_add(1, Ordering::Relaxed));
    hasher.write_u32(std::process::id());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    hasher.write_u128(now.as_nanos());
    hasher.finish()
}

pub(crate) fn fresh_id() -> SandboxId {
    SandboxId::from_random(random_bits())
}

pub(crate) fn fresh_exec_id() -> ExecId {
    ExecId::from_random(random_bits() as u32)
}

pub(crate) fn fresh_name() -> SandboxName {
    format!("sandbox-{:06x}", random_bits() & 0xff_ffff)
        .parse()
        .expect("letters, a dash and digits are a name")
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
