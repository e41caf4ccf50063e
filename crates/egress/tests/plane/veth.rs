//! Everything again over a pair of virtual Ethernet interfaces.
#![expect(clippy::duplicate_mod, reason = "the same tests, with another attachment")]

use agentkernel_egress::tun::Attachment;

#[path = "edits.rs"]
mod edits;
#[path = "exfiltration.rs"]
mod exfiltration;
#[path = "lookups.rs"]
mod lookups;
#[path = "published.rs"]
mod published;
#[path = "relay.rs"]
mod relay;
#[path = "tls.rs"]
mod tls;

const ATTACHMENT: Attachment = Attachment::Veth;
