//! The addresses of this host: to a sandbox they are no public ones, whatever their range.

use std::net::IpAddr;

use agentkernel_types::IpNetwork;

/// In a fixed order, so that two readings can be compared. Empty where the kernel does not tell.
pub(super) fn addresses() -> Vec<IpNetwork> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let mut addresses: Vec<IpAddr> = interfaces.iter().map(if_addrs::Interface::ip).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.into_iter().map(IpNetwork::from).collect()
}
