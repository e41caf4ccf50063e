//! What a sandbox sends on a connection: nothing leaves that was not judged, and what leaves is unchanged.
#![no_main]

use std::sync::{Arc, LazyLock};

use agentkernel_egress::inspect::{FlowGuard, read_head};
use agentkernel_policy::CompiledNetwork;
use agentkernel_types::{EgressMode, NetworkPolicy};
use libfuzzer_sys::fuzz_target;

static POLICY: LazyLock<Arc<CompiledNetwork>> = LazyLock::new(|| {
    let mut policy = NetworkPolicy::of(EgressMode::Allowlist);
    policy.allow.push("a.example:80".parse().expect("a rule"));
    Arc::new(CompiledNetwork::new(&policy).expect("a policy"))
});

fuzz_target!(|input: &[u8]| {
    if let Ok(head) = read_head(input) {
        assert!(input.ends_with(b"\r\n\r\n") && !input.contains(&0) && head.method != "CONNECT");
    }
    let pinned = vec!["a.example".parse().expect("a name")];
    let run = |size: usize| {
        let to = ([93, 184, 215, 14], 80).into();
        let mut guard = FlowGuard::new(Arc::clone(&POLICY), pinned.clone(), to);
        let mut out = Vec::new();
        let cut = input
            .chunks(size)
            .any(|piece| guard.push(piece, &mut out).is_err());
        assert!(input.starts_with(&out));
        cut
    };
    assert_eq!(run(1), run(input.len().max(1)));
});
