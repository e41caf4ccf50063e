//! Packets that a hostile sandbox writes by hand: each alone through the reader, and all in a row through a plane
//! that allows nothing. Two bytes of length before each.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    agentkernel_egress::fuzzing::packet(input);
    agentkernel_egress::fuzzing::stack(input);
});
