//! What the bytes of a connection say about where it goes.
//!
//! Push parsers over bytes, bounded, without I/O: the relay pushes what the sandbox sends, and forwards only what
//! came back as permitted. Nothing is rewritten; what is not understood strictly is refused.

mod guard;

pub use guard::{FlowGuard, Refusal};
