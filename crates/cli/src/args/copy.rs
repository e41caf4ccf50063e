//! `cp`, and how its two ends are told apart.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
};

use agentkernel_types::{GuestPath, ParseError, SandboxName};
use clap::Args;

#[derive(Args, Debug)]
#[command(
    after_help = "A sandbox end is NAME:/PATH. A file here whose name has a colon is written with its \
                        folder: ./a:b. A source that ends with /. means the content of the folder. \
                        - is a tar archive on stdin or stdout."
)]
pub struct CopyArgs {
    /// PATH, NAME:/PATH or -
    #[arg(value_name = "SRC")]
    pub source: OsString,
    /// PATH, NAME:/PATH or -
    #[arg(value_name = "DST")]
    pub destination: OsString,
}

/// One end of a copy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CopyEnd {
    /// A tar archive on stdin or stdout.
    Stream,
    Host(PathBuf),
    Sandbox {
        name: SandboxName,
        path: GuestPath,
        /// Written with `/.` at its end: the content of the folder, and not the folder.
        content: bool,
        /// Written with `/` at its end: a folder is meant.
        folder: bool,
    },
}

impl CopyEnd {
    pub fn parse(text: &OsStr) -> Result<Self, ParseError> {
        if text == "-" {
            return Ok(Self::Stream);
        }
        let bytes = text.as_bytes();
        let Some(colon) = bytes.iter().position(|&byte| byte == b':') else {
            return host(text);
        };
        // A slash before the first colon: a path, as scp and docker have it.
        if bytes[..colon].contains(&b'/') {
            return host(text);
        }
        let text = text
            .to_str()
            .ok_or_else(|| ParseError::new(format!("{text:?} is not UTF-8")))?;
        let (name, path) = text.split_at(colon);
        let path = &path[1..];
        if !path.starts_with('/') {
            return Err(ParseError::new(format!(
                "invalid end of a copy {text:?}: write NAME:/PATH for a sandbox, or ./{text} for a file here"
            )));
        }
        Ok(Self::Sandbox {
            name: name.parse()?,
            path: path.parse()?,
            content: path.ends_with("/."),
            folder: path.ends_with('/') || path.ends_with("/."),
        })
    }
}

fn host(text: &OsStr) -> Result<CopyEnd, ParseError> {
    if text.is_empty() {
        return Err(ParseError::new("an end of the copy is empty"));
    }
    Ok(CopyEnd::Host(PathBuf::from(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sandbox(name: &str, path: &str, content: bool, folder: bool) -> CopyEnd {
        CopyEnd::Sandbox {
            name: name.parse().unwrap(),
            path: path.parse().unwrap(),
            content,
            folder,
        }
    }

    #[test]
    fn a_name_and_an_absolute_path_are_a_sandbox_and_all_else_is_here() {
        for (text, expected) in [
            ("-", CopyEnd::Stream),
            ("./-", CopyEnd::Host("./-".into())),
            ("file", CopyEnd::Host("file".into())),
            ("./a:b", CopyEnd::Host("./a:b".into())),
            ("/x/a:/b", CopyEnd::Host("/x/a:/b".into())),
            ("../a:/b", CopyEnd::Host("../a:/b".into())),
            ("box:/", sandbox("box", "/", false, true)),
            ("box:/a", sandbox("box", "/a", false, false)),
            ("box:/a/", sandbox("box", "/a", false, true)),
            ("box:/a/.", sandbox("box", "/a", true, true)),
            ("box:/a:b", sandbox("box", "/a:b", false, false)),
            ("b.o-x_1:/a b", sandbox("b.o-x_1", "/a b", false, false)),
        ] {
            assert_eq!(CopyEnd::parse(OsStr::new(text)).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_neither_is_refused_with_the_way_out() {
        let error = CopyEnd::parse(OsStr::new("a:b")).unwrap_err().0;
        assert!(error.contains("./a:b"), "{error}");
        for text in ["", ":/a", "b!x:/a", "box:", "box:/../etc", "box:/a/../../b"] {
            assert!(CopyEnd::parse(OsStr::new(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_here_may_have_any_bytes_in_its_name() {
        let name = OsStr::from_bytes(b"./\xff:x");
        assert_eq!(CopyEnd::parse(name).unwrap(), CopyEnd::Host(PathBuf::from(name)));
        assert!(CopyEnd::parse(OsStr::from_bytes(b"\xff:/x")).is_err());
    }
}
