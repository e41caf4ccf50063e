//! Whiteouts of what they must not reach.

use std::path::Path;

use agentkernel_types::ErrorKind::{Denied, InvalidSpec};

use super::{
    Case,
    Outcome::{Refused, Tree},
};
use crate::support::*;

pub(super) fn whiteouts(outside: &Path) -> Vec<Case> {
    let archive = Archive::new;
    let out = outside.to_str().unwrap();
    vec![
        Case(
            "a whiteout of nothing",
            archive().file(".wh.", b"").finish(),
            Refused(Denied, "whiteout"),
        ),
        Case(
            "a whiteout of the folder",
            archive().file("a/.wh..", b"").finish(),
            Refused(Denied, "whiteout"),
        ),
        Case(
            "a whiteout of the parent",
            archive().file(".wh...", b"").finish(),
            Refused(Denied, "whiteout"),
        ),
        Case(
            "a whiteout of four dots",
            archive().file(".wh.....", b"").finish(),
            Tree(&["!...."]),
        ),
        Case(
            "a whiteout through a link out",
            archive()
                .symlink("l", "../../outside")
                .file("l/.wh.victim", b"")
                .finish(),
            Tree(&["!outside/victim", "l->../../outside", "outside/"]),
        ),
        Case(
            "a whiteout through an absolute link out",
            archive()
                .long_link(out.as_bytes())
                .symlink("l", "x")
                .file("l/../.wh.victim", b"")
                .finish(),
            Refused(Denied, "'..'"),
        ),
        Case(
            "an opaque mark through a link out",
            archive()
                .symlink("l", "../../outside")
                .file("l/.wh..wh..opq", b"")
                .finish(),
            Tree(&["l->../../outside", "outside/ opaque"]),
        ),
        Case(
            "an opaque root",
            archive().file(".wh..wh..opq", b"").finish(),
            Refused(Denied, "hides the root"),
        ),
        Case(
            "an opaque root through a link",
            archive().symlink("l", "/").file("l/.wh..wh..opq", b"").finish(),
            Refused(Denied, "hides the root"),
        ),
        Case(
            "other notes",
            archive()
                .file(".wh..wh.aufs", b"x")
                .folder(".wh..wh.orph/", 0o700)
                .file(".wh..wh.orph/x", b"")
                .finish(),
            Tree(&[]),
        ),
        Case(
            "dot dot among other notes",
            archive().file(".wh..wh.plnk/../../x", b"x").finish(),
            Refused(Denied, "'..'"),
        ),
        Case(
            "a file in a whiteout",
            archive().file(".wh.a/x", b"").finish(),
            Refused(Denied, "cannot be a folder"),
        ),
        Case(
            "a whiteout with content",
            archive().file(".wh.a", &[7; 2000]).finish(),
            Tree(&["!a"]),
        ),
        Case(
            "a whiteout that is a link",
            archive().symlink(".wh.a", "/etc").finish(),
            Tree(&["!a"]),
        ),
        Case(
            "a hard link to a whiteout",
            archive().file(".wh.a", b"").hard_link("b", "a").finish(),
            Refused(InvalidSpec, "not in this layer"),
        ),
        Case(
            "a hard link to the name of a whiteout",
            archive().file(".wh.a", b"").hard_link("b", ".wh.a").finish(),
            Refused(Denied, "no file"),
        ),
        Case(
            "a 0/0 device is no whiteout",
            archive().device("a", 0, 0).finish(),
            Tree(&["a="]),
        ),
        Case(
            "a whiteout, then a folder of its name",
            archive().file(".wh.a", b"").file("a/x", b"1").finish(),
            Tree(&["a/ opaque", "a/x=1"]),
        ),
        Case(
            "a whiteout, then a file of its name",
            archive().file(".wh.a", b"").file("a", b"1").finish(),
            Tree(&["a=1"]),
        ),
        Case(
            "a whiteout, then a link of its name",
            archive()
                .file(".wh.a", b"")
                .symlink("a", "/")
                .file("a/x", b"1")
                .finish(),
            Tree(&["a->/", "x=1"]),
        ),
        Case(
            "attributes of overlayfs",
            archive()
                .pax(&[
                    ("SCHILY.xattr.user.overlay.opaque", b"y"),
                    ("SCHILY.xattr.user.overlay.redirect", b"/etc"),
                    ("SCHILY.xattr.user.overlay.metacopy", b""),
                    ("SCHILY.xattr.user.overlay.whiteout", b"y"),
                    ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
                    ("SCHILY.xattr.security.selinux", b"x"),
                    ("SCHILY.xattr.system.posix_acl_access", b"x"),
                ])
                .folder("d/", 0o755)
                .finish(),
            Tree(&["d/"]),
        ),
        Case(
            "an attribute with a zero byte in its name",
            archive()
                .pax(&[("SCHILY.xattr.user.a\0b", b"")])
                .file("f", b"")
                .finish(),
            Refused(InvalidSpec, "extended attribute"),
        ),
    ]
}
