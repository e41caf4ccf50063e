//! One connection from its first byte on: recognised, judged, and followed.

use std::{net::SocketAddr, sync::Arc};

use agentkernel_policy::{CompiledNetwork, Verdict};
use agentkernel_types::DomainName;

/// Follows what a sandbox sends on one TCP connection. Bytes leave only after they have been judged.
pub struct FlowGuard {
    _policy: Arc<CompiledNetwork>,
    _pinned: Vec<DomainName>,
    _to: SocketAddr,
}

/// Why a connection is cut. Nothing of it may be sent any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    pub verdict: Verdict,
    /// What the bytes claimed, as far as it could be read.
    pub name: Option<DomainName>,
    /// The method of an HTTP request.
    pub method: Option<String>,
}

impl FlowGuard {
    /// Most bytes that are held back before a decision: a head or a ClientHello is never longer.
    pub const MOST_HELD: usize = 64 * 1024;

    pub fn new(policy: Arc<CompiledNetwork>, pinned: Vec<DomainName>, to: SocketAddr) -> Self {
        Self {
            _policy: policy,
            _pinned: pinned,
            _to: to,
        }
    }

    /// Takes what the sandbox sent and appends to `forward` what may go out now. Takes all of `bytes`.
    pub fn push(&mut self, _bytes: &[u8], _forward: &mut Vec<u8>) -> Result<(), Refusal> {
        Ok(())
    }

    /// The sandbox sends no more: what was held back is decided with what is there.
    pub fn finish(&mut self, _forward: &mut Vec<u8>) -> Result<(), Refusal> {
        Ok(())
    }

    /// Nothing more of this connection is looked at: the relay may pass bytes without asking.
    pub fn is_transparent(&self) -> bool {
        false
    }
}
