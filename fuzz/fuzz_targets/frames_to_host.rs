//! Bytes of a hostile peer to the host's decoder: an error at worst, and what it accepts survives a round trip.
#![no_main]

use agentkernel_protocol::{Decoder, ToHost, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut decoder = Decoder::new();
    for piece in input.chunks(7) {
        decoder.push(piece);
        loop {
            match decoder.decode::<ToHost>() {
                Ok(None) => break,
                Err(_) => return,
                Ok(Some((stream, message))) => {
                    let mut bytes = Vec::new();
                    encode(stream, &message, &mut bytes).expect("what was decoded is within the limits");
                    let mut again = Decoder::new();
                    again.push(&bytes);
                    assert_eq!(again.decode::<ToHost>(), Ok(Some((stream, message))));
                }
            }
        }
    }
});
