//! Text from a policy: an error at worst, and what is accepted means the same when it is read again.
#![no_main]

use agentkernel_policy::CompiledNetwork;
use agentkernel_types::{DomainName, EgressMode, NetworkPolicy, NetworkRule};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(name) = text.parse::<DomainName>() {
        assert_eq!(name.as_str().parse(), Ok(name.clone()));
        assert!(text.parse::<std::net::IpAddr>().is_err());
    }
    if let Ok(rule) = text.parse::<NetworkRule>() {
        assert_eq!(rule.to_string().parse(), Ok(rule.clone()));
        let mut policy = NetworkPolicy::of(EgressMode::Allowlist);
        policy.allow.push(rule);
        if let Ok(policy) = CompiledNetwork::new(&policy) {
            let loopback = std::net::IpAddr::from([127, 0, 0, 1]);
            assert!(!policy.address(None, loopback).allowed);
        }
    }
});
