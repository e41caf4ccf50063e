//! Registries for tests: a real one on loopback, a slow way to it, and a stub that says what no honest one says.

mod authority;
mod gate;
mod http;
mod process;
mod stub;

pub use authority::Authority;
pub use gate::Gate;
pub use process::{PASSWORD, Registry, Request, USER};
pub use stub::{Answer, Asked, Stub};

/// `USER:PASSWORD` as HTTP carries it.
pub const BASIC: &str = "dGVzdGVyOm9wZW5zZXNhbWU=";
/// The same user with a password that is wrong.
pub const WRONG: &str = "dGVzdGVyOndyb25n";

/// An address on which nobody listens.
pub fn refused_port() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket has an address")
}
