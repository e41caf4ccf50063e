//! Archives that want out, lie, or never end. Nothing is written beside the layer, and each is refused with a clear
//! error or gives the right tree.
#![allow(clippy::unwrap_used, reason = "a test")]

mod kinds;
mod lies;
mod links;
mod names;
mod whiteouts;

#[path = "../unpack_support/closed.rs"]
mod closed;
#[path = "../unpack_support/mod.rs"]
mod support;

use std::{fs, path::Path};

use agentkernel_image::unpack::{Limits, Rules, TREE, reassemble, unpack};
use agentkernel_types::ErrorKind::{self, Exhausted};
use closed::{closed, listing, snapshot};
use support::*;

enum Outcome {
    /// The kind, and words of the message.
    Refused(ErrorKind, &'static str),
    /// The tree as [`listing`] shows it.
    Tree(&'static [&'static str]),
}

struct Case(&'static str, Vec<u8>, Outcome);

fn limits() -> Limits {
    Limits {
        entries: 1000,
        bytes: 256 << 20,
        depth: 64,
        ratio: 200,
        owners: 4,
    }
}

#[test]
fn hostile_archives_write_nothing_outside() {
    let place = tempfile::tempdir().unwrap();
    // Links that want out know the way.
    let outside = place.path().join("outside");
    closed(place.path(), || {
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("victim"), b"untouched").unwrap();
        fs::create_dir(outside.join("folder")).unwrap();
        let mut cases = names::names();
        cases.extend(links::links(&outside));
        cases.extend(whiteouts::whiteouts(&outside));
        cases.extend(lies::lies());
        cases.extend(kinds::kinds(&outside));
        assert!(cases.len() >= 60, "{} cases", cases.len());
        let mut failed = Vec::new();
        for case in &cases {
            if let Err(why) = run(place.path(), case) {
                failed.push(format!("{}: {why}", case.0));
            }
        }
        assert!(
            failed.is_empty(),
            "{} of {}:\n{}",
            failed.len(),
            cases.len(),
            failed.join("\n")
        );
    });
}

fn run(place: &Path, Case(_, archive, outcome): &Case) -> Result<(), String> {
    let target = place.join("target");
    let layer = target.join("layer");
    fs::create_dir_all(&layer).unwrap();
    let before = snapshot(place, &layer);
    let rules = Rules {
        limits: limits(),
        ..rules()
    };
    let result = unpack(&mut &archive[..], &layer, &rules);
    let after = snapshot(place, &layer);
    let mut again = Vec::new();
    let verdict = match (&result, outcome) {
        _ if before != after => Err("something outside has changed".to_owned()),
        (Err(error), Outcome::Refused(kind, words)) => {
            let message = error.message();
            if error.kind() != *kind || !message.contains(words) {
                Err(format!("refused as {:?}: {message}", error.kind()))
            } else if message.len() > 600 || message.contains(|c: char| c.is_control()) {
                Err(format!("the message is not for people: {message:?}"))
            } else {
                Ok(())
            }
        }
        (Err(error), Outcome::Tree(_)) => Err(format!("refused as {:?}: {}", error.kind(), error.message())),
        (Ok(_), Outcome::Refused(..)) => Err(format!("not refused: {:?}", listing(&layer.join(TREE)))),
        (Ok(_), Outcome::Tree(expected)) => {
            let tree = listing(&layer.join(TREE));
            if tree == *expected {
                Ok(())
            } else {
                Err(format!("the tree is {tree:?}"))
            }
        }
    };
    let verdict = verdict.and_then(|()| {
        if result.is_err() {
            return Ok(());
        }
        reassemble(&layer, &mut again).map_err(|error| error.to_string())?;
        let plain = !archive.starts_with(&[0x1f, 0x8b]);
        if plain && again != *archive {
            Err("it does not come back".to_owned())
        } else {
            Ok(())
        }
    });
    fs::remove_dir_all(&target).unwrap();
    verdict
}

fn one(header: Header) -> Vec<u8> {
    Archive::new().entry(header).finish()
}

#[test]
fn ten_gigabytes_of_zeros_are_refused_early() {
    let place = tempfile::tempdir().unwrap();
    closed(place.path(), || {
        let header = one(Header::file("zeros", b"").size(10 << 30));
        // What is behind the header is never made: the reader gives it as it is asked for.
        let bombs: [(&str, Vec<u8>, Vec<u8>); 2] = [
            ("gzip", gzip(&header[..512]), gzip(&vec![0; 2 << 20])),
            (
                "zstd",
                zstd::encode_all(&header[..512], 1).unwrap(),
                zstd::encode_all(&vec![0; 2 << 20][..], 1).unwrap(),
            ),
        ];
        for (name, head, zeros) in bombs {
            for (what, limits) in [
                (
                    "bytes",
                    Limits {
                        bytes: 40 << 20,
                        ratio: u64::MAX,
                        ..Limits::default()
                    },
                ),
                (
                    "times",
                    Limits {
                        ratio: 200,
                        ..Limits::default()
                    },
                ),
            ] {
                // Inflating sixteen mebibytes takes minutes without optimization.
                if cfg!(debug_assertions) && (name, what) == ("gzip", "times") {
                    continue;
                }
                let layer = place.path().join(format!("{name}-{what}"));
                fs::create_dir(&layer).unwrap();
                let mut archive = Endless {
                    bytes: head.clone(),
                    again: zeros.clone(),
                    used: 0,
                };
                let error = unpack(&mut archive, &layer, &Rules { limits, ..rules() }).unwrap_err();
                assert_eq!(error.kind(), Exhausted, "{name} {what}");
                assert!(error.message().contains(what), "{name}: {}", error.message());
                let written = fs::metadata(layer.join(TREE).join("zeros")).map_or(0, |file| file.len());
                assert!(written <= 40 << 20, "{name} {what}: {written} bytes");
            }
        }
    });
}

/// The same again and again.
struct Endless {
    bytes: Vec<u8>,
    again: Vec<u8>,
    used: usize,
}

impl std::io::Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.used == self.bytes.len() {
            self.bytes.clone_from(&self.again);
            self.used = 0;
        }
        let count = buffer.len().min(self.bytes.len() - self.used);
        buffer[..count].copy_from_slice(&self.bytes[self.used..self.used + count]);
        self.used += count;
        Ok(count)
    }
}
