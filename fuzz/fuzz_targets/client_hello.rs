//! The greeting of TLS: whole and in pieces it is read alike.
#![no_main]

use agentkernel_egress::inspect::ClientHelloReader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let whole = ClientHelloReader::default().push(input);
    let mut reader = ClientHelloReader::default();
    let mut pieces = Ok(None);
    for piece in input.chunks(1) {
        pieces = reader.push(piece);
        if !matches!(pieces, Ok(None)) {
            break;
        }
    }
    assert_eq!(whole, pieces);
});
