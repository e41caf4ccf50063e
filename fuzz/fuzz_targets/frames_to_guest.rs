//! Bytes of a hostile peer to the guest's decoder: an error at worst, and what it accepts survives a round trip.
#![no_main]

use agentkernel_protocol::{Decoder, ToGuest, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut decoder = Decoder::new();
    for piece in input.chunks(7) {
        decoder.push(piece);
        loop {
            match decoder.decode::<ToGuest>() {
                Ok(None) => break,
                Err(_) => return,
                Ok(Some((stream, message))) => {
                    let mut bytes = Vec::new();
                    encode(stream, &message, &mut bytes).expect("what was decoded is within the limits");
                    let mut again = Decoder::new();
                    again.push(&bytes);
                    assert_eq!(again.decode::<ToGuest>(), Ok(Some((stream, message))));
                }
            }
        }
    }
});
