//! Links that lead out, in circles, or turn.

use std::path::Path;

use agentkernel_types::ErrorKind::{Denied, InvalidSpec};

use super::{
    Case,
    Outcome::{Refused, Tree},
};
use crate::support::*;

pub(super) fn links(outside: &Path) -> Vec<Case> {
    let out = outside.to_str().unwrap();
    let victim = format!("{out}/victim");
    let archive = Archive::new;
    let mut joint = archive();
    for step in 0..50 {
        joint = joint.symlink(format!("l{step}"), format!("l{}", step + 1));
    }
    vec![
        Case(
            "a link out, then a file through it",
            archive().symlink("l", "../../outside").file("l/x", b"x").finish(),
            Tree(&["l->../../outside", "outside/", "outside/x=x"]),
        ),
        Case(
            "a link to the host's root, then a file through it",
            archive().symlink("l", "/").file("l/etc/x", b"x").finish(),
            Tree(&["etc/", "etc/x=x", "l->/"]),
        ),
        Case(
            "a link to a file outside, then that file",
            archive()
                .symlink("l", "../../outside/victim")
                .file("l", b"x")
                .finish(),
            Tree(&["l=x"]),
        ),
        Case(
            "a link out, then a folder of its name",
            archive()
                .symlink("l", "../../outside")
                .folder("l/", 0o777)
                .file("l/x", b"x")
                .finish(),
            Tree(&["l/", "l/x=x"]),
        ),
        Case(
            "a link out, then a folder through it",
            archive()
                .symlink("l", "../../outside")
                .folder("l/folder/", 0o777)
                .finish(),
            Tree(&["l->../../outside", "outside/", "outside/folder/"]),
        ),
        Case(
            "two links that together lead out",
            archive()
                .symlink("a", ".")
                .symlink("b", "a/..")
                .symlink("c", "b/../../outside")
                .file("c/x", b"x")
                .finish(),
            Tree(&["a->.", "b->a/..", "c->b/../../outside", "outside/", "outside/x=x"]),
        ),
        Case(
            "a link that turns after it was used",
            archive()
                .folder("d/", 0o755)
                .symlink("l", "d")
                .file("l/one", b"1")
                .symlink("l", "../../outside")
                .file("l/two", b"2")
                .finish(),
            Tree(&["d/", "d/one=1", "l->../../outside", "outside/", "outside/two=2"]),
        ),
        Case(
            "a folder that becomes a link",
            archive()
                .folder("d/", 0o755)
                .symlink("d", "../../outside")
                .file("d/victim", b"x")
                .finish(),
            Tree(&["d->../../outside", "outside/", "outside/victim=x"]),
        ),
        Case(
            "a full folder that becomes a link",
            archive().file("d/in", b"1").symlink("d", "/").finish(),
            Refused(
                InvalidSpec,
                "\"d\": there is a folder of this name, which is not empty",
            ),
        ),
        Case(
            "a link in the middle",
            archive()
                .symlink("a/l", "../../../outside")
                .file("a/l/folder/x", b"x")
                .finish(),
            Tree(&[
                "a/",
                "a/l->../../../outside",
                "outside/",
                "outside/folder/",
                "outside/folder/x=x",
            ]),
        ),
        Case(
            "a loop",
            archive()
                .symlink("a", "b")
                .symlink("b", "a")
                .file("a/x", b"x")
                .finish(),
            Refused(Denied, "too many symbolic links"),
        ),
        Case(
            "a link to itself",
            archive().symlink("a", "a/a").file("a/x", b"x").finish(),
            Refused(Denied, "too many symbolic links"),
        ),
        Case(
            "fifty links",
            joint.file("l0/x", b"x").finish(),
            Refused(Denied, "too many symbolic links"),
        ),
        Case(
            "a link without target",
            archive().symlink("l", "").finish(),
            Refused(InvalidSpec, "target of the symbolic link"),
        ),
        Case(
            "a target of 5000 bytes",
            archive().long_link(&[b'a'; 5000]).symlink("l", "x").finish(),
            Refused(InvalidSpec, "target of the symbolic link"),
        ),
        Case(
            "a link through a file",
            archive()
                .file("f", b"1")
                .symlink("l", "f/x")
                .file("l/y", b"2")
                .finish(),
            Refused(InvalidSpec, "it lies in \"f\", which is no folder"),
        ),
        Case(
            "a file in a file",
            archive().file("f", b"1").file("f/x", b"2").finish(),
            Refused(InvalidSpec, "which is no folder"),
        ),
        Case(
            "a file in a fifo",
            archive().fifo("f").file("f/x", b"2").finish(),
            Refused(InvalidSpec, "which is no folder"),
        ),
        Case(
            "into the host's descriptors",
            archive()
                .symlink("l", "/proc/self/fd/3")
                .file("l/x", b"x")
                .finish(),
            Tree(&[
                "l->/proc/self/fd/3",
                "proc/",
                "proc/self/",
                "proc/self/fd/",
                "proc/self/fd/3/",
                "proc/self/fd/3/x=x",
            ]),
        ),
        Case(
            "a hard link out",
            archive().hard_link("h", "../../outside/victim").finish(),
            Refused(Denied, "target of the hard link cannot be"),
        ),
        Case(
            "an absolute hard link out",
            archive()
                .long_link(victim.as_bytes())
                .hard_link("h", "x")
                .finish(),
            Refused(InvalidSpec, "not in this layer"),
        ),
        Case(
            "a hard link through a link out",
            archive()
                .symlink("l", "../../outside")
                .hard_link("h", "l/victim")
                .finish(),
            Refused(InvalidSpec, "not in this layer"),
        ),
        Case(
            "a hard link to a link out, then content",
            archive()
                .symlink("l", "../../outside/victim")
                .hard_link("h", "l")
                .file("h", b"x")
                .finish(),
            Tree(&["h=x", "l->../../outside/victim"]),
        ),
        Case(
            "a hard link to a link out, and through it",
            archive()
                .symlink("l", "../../outside")
                .hard_link("h", "l")
                .file("h/x", b"x")
                .finish(),
            Tree(&["h->../../outside", "l->../../outside", "outside/", "outside/x=x"]),
        ),
        Case(
            "a hard link to a folder",
            archive().folder("d/", 0o755).hard_link("h", "d").finish(),
            Refused(Denied, "is a folder"),
        ),
        Case(
            "a hard link to the root",
            archive().hard_link("h", ".").finish(),
            Refused(Denied, "is no file"),
        ),
        Case(
            "a hard link to nothing",
            archive().hard_link("h", "none").finish(),
            Refused(InvalidSpec, "not in this layer"),
        ),
        Case(
            "a hard link without target",
            archive().hard_link("h", "").finish(),
            Refused(Denied, "cannot be"),
        ),
        Case(
            "a hard link to itself",
            archive()
                .file("h", b"x")
                .hard_link("h", "h")
                .hard_link("./h", "/h")
                .finish(),
            Tree(&["h=x"]),
        ),
        Case(
            "a record with a link target out",
            archive()
                .pax(&[("linkpath", b"../../outside/victim")])
                .hard_link("h", "x")
                .finish(),
            Refused(Denied, "cannot be"),
        ),
    ]
}
