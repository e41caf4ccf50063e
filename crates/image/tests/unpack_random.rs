//! Random archives: what was unpacked comes back, and what was damaged does no harm.

#[path = "unpack_support/closed.rs"]
mod closed;
#[path = "unpack_support/mod.rs"]
mod support;

use agentkernel_image::unpack::{reassemble, unpack};
use closed::{closed, snapshot};
use proptest::prelude::*;
use support::*;

/// Few names, so that entries meet.
fn name() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        "a",
        "b",
        "c",
        "d/a",
        "d/b",
        "d/e/a",
        "l/a",
        "./a",
        "/d/e/b",
        "e",
        ".wh.c",
        "d/.wh.b",
        "d/.wh..wh..opq",
    ])
    .prop_map(str::to_owned)
}

fn entry() -> impl Strategy<Value = Vec<u8>> {
    let content = proptest::collection::vec(any::<u8>(), 0..1500);
    prop_oneof![
        4 => (name(), content, 0..0o7777u32).prop_map(|(name, content, mode)| Header::file(name, &content).mode(mode).bytes()),
        2 => (name(), name()).prop_map(|(name, target)| Header::link(b'1', name, target).bytes()),
        1 => (name(), proptest::sample::select(vec!["d", "/d/e", "a", "../x", "."])).prop_map(|(name, target)| Header::link(b'2', name, target).bytes()),
        1 => Just(Header::link(b'2', "l", "d").bytes()),
        1 => (name(), 0..0o7777u32).prop_map(|(name, mode)| Header::folder(name).mode(mode).bytes()),
        1 => name().prop_map(|name| Header::new(b'6', name, b"").bytes()),
        1 => name().prop_map(|name| Header::new(b'3', name, b"").device(1, 3).bytes()),
        1 => (name(), proptest::collection::vec(any::<u8>(), 0..600)).prop_map(|(name, content)| {
            let size = content.len().to_string();
            Archive::new()
                .pax(&[("path", name.as_bytes()), ("size", size.as_bytes()), ("SCHILY.xattr.user.x", &content)])
                .entry(Header::file("short", &content).size(0))
                .0
        }),
        1 => (name(), 0..4u64, 0..700usize).prop_map(|(name, hole, length)| {
            let content = vec![b's'; 512 + length];
            let map = format!("0,512,{},{length}", 512 + hole * 4096);
            let size = (512 + hole * 4096 + length as u64).to_string();
            Archive::new()
                .pax(&[("GNU.sparse.map", map.as_bytes()), ("GNU.sparse.size", size.as_bytes()), ("GNU.sparse.name", name.as_bytes())])
                .file("sparse", &content)
                .0
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Some are refused on their way: a file over a full folder, a link to nothing. What is left of them is taken.
    #[test]
    fn what_was_unpacked_comes_back(
        entries in proptest::collection::vec(entry(), 1..25),
        rest in 0..3usize,
    ) {
        let mut taken = Vec::new();
        for entry in entries {
            let archive = [&taken[..], &entry].concat();
            if Layer::unpack(&archive).is_ok() {
                taken = archive;
            }
        }
        taken.extend(vec![0; 512 * rest]);
        if !taken.is_empty() {
            let layer = Layer::unpack(&taken).unwrap();
            prop_assert_eq!(&layer.unpacked.diff_id, &digest(&taken));
            prop_assert!(layer.reassembled() == taken);
        }
    }
}

/// A bounded run of what the fuzz targets `layer` and `recipe` do for hours.
#[test]
fn damaged_archives_and_recipes_do_no_harm() {
    let place = tempfile::tempdir().unwrap();
    closed(place.path(), || {
        let good = Archive::new()
            .folder("d/", 0o755)
            .file("d/a", &[b'x'; 700])
            .symlink("l", "../outside")
            .hard_link("h", "d/a")
            .pax(&[("path", b"l/b"), ("mtime", b"1.5"), ("SCHILY.xattr.user.x", b"1")])
            .file("b", b"123")
            .long_name(b"d/long")
            .file("c", b"")
            .file("d/a", b"again")
            .finish();
        std::fs::create_dir(place.path().join("outside")).unwrap();
        let target = place.path().join("target");
        let layer = target.join("layer");
        std::fs::create_dir(&target).unwrap();
        let before = snapshot(place.path(), &target);
        let random = random(16 * 1000);
        let (mut unpacked, mut refused) = (0, 0);
        for dice in random.chunks_exact(16) {
            let mut archive = good.clone();
            for spot in dice.chunks_exact(4) {
                let at = usize::from(u16::from_le_bytes([spot[0], spot[1]])) % archive.len();
                archive[at] = if spot[2] & 1 == 0 {
                    spot[3]
                } else {
                    b"./0\0"[usize::from(spot[3] & 3)]
                };
            }
            // A wrong sum would hide all that is behind it.
            for at in (0..archive.len()).step_by(512) {
                let block = &mut archive[at..at + 512];
                if block[257..262] == *b"ustar" {
                    let mut header = tar::Header::from_byte_slice(block).clone();
                    header.set_cksum();
                    block.copy_from_slice(header.as_bytes());
                }
            }
            std::fs::create_dir(&layer).unwrap();
            match unpack(&mut &archive[..], &layer, &rules()) {
                Ok(_) => {
                    unpacked += 1;
                    let mut again = Vec::new();
                    reassemble(&layer, &mut again).unwrap();
                    assert!(again == archive);
                    let recipe = layer.join("recipe");
                    let mut bytes = std::fs::read(&recipe).unwrap();
                    let at = usize::from(dice[0]) % bytes.len();
                    bytes[at] ^= dice[1];
                    std::fs::write(&recipe, bytes).unwrap();
                    // An error, or the very same.
                    let mut again = Vec::new();
                    if reassemble(&layer, &mut again).is_ok() {
                        assert!(again == archive);
                    }
                }
                Err(_) => refused += 1,
            }
            assert_eq!(before, snapshot(place.path(), &target));
            std::fs::remove_dir_all(&layer).unwrap();
        }
        assert!(
            unpacked > 50 && refused > 50,
            "{unpacked} unpacked, {refused} refused"
        );
    });
}
