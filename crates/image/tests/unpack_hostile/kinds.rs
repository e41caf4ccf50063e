//! One name as many things.

use std::path::Path;

use agentkernel_types::ErrorKind::InvalidSpec;

use super::{
    Case,
    Outcome::{Refused, Tree},
};
use crate::support::*;

pub(super) fn kinds(outside: &Path) -> Vec<Case> {
    let archive = Archive::new;
    let _ = outside;
    vec![
        Case(
            "devices",
            archive()
                .device("mem", 1, 1)
                .entry(Header::new(b'4', "disk", b"").device(8, 0))
                .finish(),
            Tree(&["disk=", "mem="]),
        ),
        Case(
            "content over a device",
            archive().device("mem", 1, 1).file("mem", b"1").finish(),
            Tree(&["mem=1"]),
        ),
        Case(
            "content over a fifo does not wait",
            archive().fifo("p").file("p", b"1").finish(),
            Tree(&["p=1"]),
        ),
        Case(
            "a fifo over content",
            archive().file("p", b"1").fifo("p").finish(),
            Tree(&["|p"]),
        ),
        Case(
            "set-user-id",
            archive().entry(Header::file("su", b"x").mode(0o6755)).finish(),
            Tree(&["su=x"]),
        ),
        Case(
            "set-user-id behind a hard link",
            archive()
                .entry(Header::file("su", b"x").mode(0o4755))
                .hard_link("h", "su")
                .finish(),
            Tree(&["h=x", "su=x"]),
        ),
        Case(
            "a file over an empty folder",
            archive().folder("d/", 0o755).file("d", b"1").finish(),
            Tree(&["d=1"]),
        ),
        Case(
            "a file over a full folder",
            archive().file("d/x", b"1").file("d", b"1").finish(),
            Refused(InvalidSpec, "not empty"),
        ),
        Case(
            "a folder over a file",
            archive().file("d", b"1").file("d/x", b"2").finish(),
            Refused(InvalidSpec, "no folder"),
        ),
        Case(
            "a folder entry over a file",
            archive()
                .file("d", b"1")
                .folder("d/", 0o755)
                .file("d/x", b"2")
                .finish(),
            Tree(&["d/", "d/x=2"]),
        ),
        Case(
            "a name in all kinds",
            archive()
                .file("a", b"1")
                .symlink("a", "/")
                .fifo("a")
                .device("a", 5, 5)
                .folder("a/", 0o700)
                .symlink("a", "x")
                .file("a", b"2")
                .finish(),
            Tree(&["a=2"]),
        ),
        Case(
            "into a folder without permissions",
            archive().folder("d/", 0).file("d/x", b"1").finish(),
            Tree(&["d/", "d/x=1"]),
        ),
    ]
}
