//! What the bytes of a connection say about where it goes.
//!
//! Push parsers over bytes, bounded, without I/O: the relay pushes what the sandbox sends, and forwards only what
//! came back as permitted. Nothing is rewritten; what is not understood strictly is refused.

mod client_hello;
mod guard;
mod http_body;
mod http_head;
mod recognise;

pub use client_hello::{ClientHello, ClientHelloReader, Malformed, ServerName};
pub use guard::{FlowGuard, Refusal};
pub use http_head::{Authority, Body, Host, RequestHead, read_authority, read_head};
pub use recognise::{Seen, recognise};
