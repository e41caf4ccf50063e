//! A damaged recipe beside a small tree: an error at worst, and nothing outside of the tree is read.
#![no_main]

use std::{fs, io::Write, os::unix::fs::symlink};

use agentkernel_image::unpack::{RECIPE, TREE, reassemble};
use libfuzzer_sys::fuzz_target;

struct Watched;

impl Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        assert!(!bytes.windows(6).any(|window| window == b"SECRET"));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fuzz_target!(|input: &[u8]| {
    // Literals may say anything; only what was read from files must not be the secret.
    if input.windows(6).any(|window| window == b"SECRET") {
        return;
    }
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let layer = place.path().join("layer");
    let tree = layer.join(TREE);
    let made = fs::create_dir_all(tree.join("d"))
        .and_then(|()| fs::write(place.path().join("s"), b"SECRET"))
        .and_then(|()| fs::write(tree.join("d/f"), b"0123456789"))
        .and_then(|()| symlink("../../s", tree.join("s")))
        .and_then(|()| symlink("../..", tree.join("o")))
        .and_then(|()| fs::write(layer.join(RECIPE), input));
    made.expect("a small tree can be made");
    let _ = reassemble(&layer, &mut Watched);
});
