//! The names of entries: taken apart, judged, and nothing else. No file is touched here.

use super::{Limits, fault::Fault};

/// Of one component, as all file systems of Linux have it.
const COMPONENT: usize = 255;
/// Of a whole name, and of the target of a symbolic link.
pub(super) const NAME: usize = 4095;

/// Where an entry goes, as its name says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role<'a> {
    /// The root of the tree itself.
    Root,
    Entry(&'a [u8]),
    /// Hides a name of the layers below.
    Whiteout(&'a [u8]),
    /// Hides all that the layers below have in the parent.
    Opaque,
    /// What another store has noted for itself.
    Foreign,
}

/// The components of a name, without `.` and empty ones: an absolute name is one beneath the root.
pub(super) fn split<'a>(name: &'a [u8], limits: &Limits) -> Result<Vec<&'a [u8]>, Fault> {
    if name.contains(&0) {
        return Err(Fault::denied("its name has a zero byte"));
    }
    if name.len() > NAME {
        return Err(Fault::malformed(format!(
            "its name has {} bytes; the limit is {NAME}",
            name.len()
        )));
    }
    if name.is_empty() {
        return Err(Fault::malformed("it has no name"));
    }
    let parts: Vec<&[u8]> = name
        .split(|&byte| byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .collect();
    for part in &parts {
        if *part == b".." {
            return Err(Fault::denied("its name must not contain '..'"));
        }
        if part.len() > COMPONENT {
            return Err(Fault::malformed(format!(
                "a part of its name has {} bytes; the limit is {COMPONENT}",
                part.len()
            )));
        }
    }
    depth(parts.len(), limits)?;
    Ok(parts)
}

pub(super) fn depth(components: usize, limits: &Limits) -> Result<(), Fault> {
    if components > limits.depth as usize {
        return Err(Fault::exhausted(format!(
            "it lies more than {} folders deep, which is the limit",
            limits.depth
        )));
    }
    Ok(())
}

/// The folder that an entry lies in, and what it is there.
pub(super) fn role<'p, 'a>(parts: &'p [&'a [u8]]) -> Result<(&'p [&'a [u8]], Role<'a>), Fault> {
    const PREFIX: &[u8] = b".wh.";
    let Some((last, parent)) = parts.split_last() else {
        return Ok((parts, Role::Root));
    };
    // What lies in a folder of another store's notes is one of them.
    if parent.iter().any(|part| part.starts_with(b".wh..wh.")) {
        return Ok((parent, Role::Foreign));
    }
    if parent.iter().any(|part| part.starts_with(PREFIX)) {
        return Err(Fault::denied("a whiteout cannot be a folder"));
    }
    let role = match last.strip_prefix(PREFIX) {
        None => Role::Entry(last),
        Some(b"" | b"." | b"..") => {
            return Err(Fault::denied(
                "it is a whiteout of a folder itself, not of a name in it",
            ));
        }
        Some(b".wh..opq") => Role::Opaque,
        Some(rest) if rest.starts_with(PREFIX) => Role::Foreign,
        Some(hidden) => Role::Whiteout(hidden),
    };
    Ok((parent, role))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(name: &str) -> Option<(String, Role<'_>)> {
        let parts = split(name.as_bytes(), &Limits::default()).ok()?;
        let (parent, role) = role(&parts).ok()?;
        Some((String::from_utf8(parent.join(&b'/')).unwrap(), role))
    }

    #[test]
    fn names_are_beneath_the_root() {
        let table: &[(&str, &str, Role<'_>)] = &[
            ("a", "", Role::Entry(b"a")),
            ("./a/b/", "a", Role::Entry(b"b")),
            ("//a//./b", "a", Role::Entry(b"b")),
            (".", "", Role::Root),
            ("/", "", Role::Root),
            ("...", "", Role::Entry(b"...")),
            ("a/.wh.b", "a", Role::Whiteout(b"b")),
            ("a/.wh..b", "a", Role::Whiteout(b".b")),
            ("a/.wh....", "a", Role::Whiteout(b"...")),
            ("a/.wh..wh..opq", "a", Role::Opaque),
            (".wh..wh.plnk", "", Role::Foreign),
            (".wh..wh.plnk/1.2", ".wh..wh.plnk", Role::Foreign),
            (".wh", "", Role::Entry(b".wh")),
        ];
        for (name, parent, role) in table {
            assert_eq!(judged(name), Some(((*parent).to_owned(), *role)), "{name}");
        }
        for wrong in [
            "", "..", "a/../b", "/..", "a\0b", ".wh.", ".wh..", "a/.wh...", ".wh.a/b",
        ] {
            assert_eq!(judged(wrong), None, "{wrong:?}");
        }
        assert_eq!(judged(&"x".repeat(256)), None);
        assert_eq!(judged(&"x/".repeat(300)), None);
    }
}
