//! Pure policy decisions. No I/O: callers fetch the facts, this crate judges.
//!
//! What of the host a sandbox may see (`home`, `mounts`, `env`) and what a profile limits (`limits`). Every
//! refusal is a [`Denied`] that says what, why, and the way out. Nothing is weakened silently: where a wish
//! cannot be granted safely it is refused, never narrowed.

mod credentials;
mod denied;
mod env;
mod home;
mod limits;
mod mounts;
mod network;

pub use credentials::{CREDENTIAL_STORES, CredentialStore, Credentials, FoundStore, find_stores};
pub use denied::Denied;
pub use env::{DroppedVar, PassedEnv, passed_env};
pub use home::{HomeEntry, home_mount, home_mounts};
pub use limits::default_limits;
pub use mounts::{HostFacts, SourceFacts, SourceKind, check_mount, order_mounts};
pub use network::{
    CompiledNetwork, NetworkLayer, PRESETS, PRESETS_VERSION, Preset, Tightened, Verdict, find_preset,
    layer_network, tighten_network,
};
