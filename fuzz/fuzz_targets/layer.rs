//! Bytes of a hostile registry to the unpacker, in a folder that vanishes: an error at worst, and what it accepts comes
//! back byte for byte. The unpacker confines itself by landlock; run it as a user who owns nothing all the same.
#![no_main]

use agentkernel_image::unpack::{Limits, Ownership, Rules, reassemble, unpack};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let rules = Rules {
        ownership: Ownership::Caller,
        limits: Limits {
            entries: 1000,
            bytes: 16 << 20,
            ..Limits::default()
        },
        keep_setuid: false,
    };
    if unpack(&mut &input[..], place.path(), &rules).is_err() {
        return;
    }
    let mut archive = Vec::new();
    reassemble(place.path(), &mut archive).expect("what was unpacked can be put together");
    let compressed = matches!(input, [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
    assert!(compressed || archive == input);
});
