//! Names that lead out, or are none.

use agentkernel_types::ErrorKind::{Denied, Exhausted, InvalidSpec};

use super::{
    Case,
    Outcome::{Refused, Tree},
    one,
};
use crate::support::*;

pub(super) fn names() -> Vec<Case> {
    let file = |name: &str| Archive::new().file(name, b"x").finish();
    let long = |name: &[u8]| Archive::new().long_name(name).file("short", b"x").finish();
    let pax = |records: &[(&str, &[u8])]| Archive::new().pax(records).file("short", b"x").finish();
    let deep = "d/".repeat(65);
    vec![
        Case(
            "dot dot",
            file("../x"),
            Refused(Denied, "\"../x\": its name must not contain '..'"),
        ),
        Case("dot dot inside", file("a/../../x"), Refused(Denied, "'..'")),
        Case("dot dot at the end", file("a/.."), Refused(Denied, "'..'")),
        Case("dot dot alone", file(".."), Refused(Denied, "'..'")),
        Case(
            "dot dot in a long name",
            long(b"a/../../x"),
            Refused(Denied, "'..'"),
        ),
        Case(
            "dot dot in a record",
            pax(&[("path", b"../x")]),
            Refused(Denied, "'..'"),
        ),
        Case(
            "dot dot in a folder",
            one(Header::folder("../d/")),
            Refused(Denied, "'..'"),
        ),
        Case("absolute", file("/etc/x"), Tree(&["etc/", "etc/x=x"])),
        Case("absolute with slashes", file("///x"), Tree(&["x=x"])),
        Case("dots that are a name", file("..."), Tree(&["...=x"])),
        Case("backslashes", file("..\\x"), Tree(&["..\\\\x=x"])),
        Case("no name", file(""), Refused(InvalidSpec, "it has no name")),
        Case(
            "the root as a file",
            file("."),
            Refused(Denied, "the root of the tree can only be a folder"),
        ),
        Case(
            "the root as a file, absolute",
            one(Header::new(b'0', "/.", b"x")),
            Refused(Denied, "root of the tree"),
        ),
        Case(
            "the root as a link",
            Archive::new().symlink("./", "/").finish(),
            Refused(Denied, "root of the tree"),
        ),
        Case(
            "the root as a device",
            Archive::new().device(".", 1, 3).finish(),
            Refused(Denied, "root of the tree"),
        ),
        Case("the root as a folder", one(Header::folder("./")), Tree(&[])),
        Case(
            "a slash after a file with content",
            file("x/"),
            Refused(InvalidSpec, "name of a folder and content"),
        ),
        Case(
            "a slash after an empty file",
            Archive::new().file("x/", b"").finish(),
            Tree(&["x/"]),
        ),
        Case(
            "not UTF-8",
            one(Header::file(b"\xff\xfe", b"x")),
            Tree(&["\\xff\\xfe=x"]),
        ),
        Case(
            "line breaks and escapes",
            file("a\n\x1b[31mb"),
            Tree(&["a\\n\\x1b[31mb=x"]),
        ),
        Case(
            "line breaks in an error",
            file("a\n\x1b[31m/../b"),
            Refused(Denied, "a\\n\\u{1b}[31m"),
        ),
        Case(
            "a zero byte in a record",
            pax(&[("path", b"a\0b")]),
            Refused(Denied, "zero byte"),
        ),
        Case(
            "a zero byte in the name of a file with holes",
            pax(&[("GNU.sparse.name", b"a\0b")]),
            Refused(Denied, "zero byte"),
        ),
        Case(
            "a name of 4096 bytes",
            long(&[b"a/".repeat(2047), b"bb".to_vec()].concat()),
            Refused(InvalidSpec, "has 4096 bytes; the limit is 4095"),
        ),
        Case(
            "a part of 256 bytes",
            long(&[b'a'; 256]),
            Refused(InvalidSpec, "a part of its name has 256 bytes"),
        ),
        Case(
            "65 folders deep",
            long(format!("{deep}x").as_bytes()),
            Refused(Exhausted, "more than 64 folders deep"),
        ),
        Case(
            "a record that takes the name back",
            pax(&[("path", b"")]),
            Tree(&["short=x"]),
        ),
    ]
}
