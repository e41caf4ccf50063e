//! Bytes of a hostile sandbox as a question, and of a hostile upstream as an answer.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| agentkernel_egress::fuzzing::dns(input));
