//! Folders of our own: made private, and refused where somebody else could have a hand in them.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::Path,
};

use crate::{Error, Result};

/// Makes the folder and its missing parents with mode 0700, or checks the one that is there.
/// It may be reached through a symbolic link: people put their data on another disk that way.
pub fn make_private_folder(path: &Path) -> Result<()> {
    make(path)?;
    check_folder(path)
}

/// Like [`make_private_folder`], but the last part must be a real folder: the runtime folder may lie in `/tmp`,
/// where anybody can put a symbolic link under our name first.
pub fn make_runtime_folder(path: &Path) -> Result<()> {
    make(path)?;
    let found = fs::symlink_metadata(path).map_err(Error::io("examine", path))?;
    if found.is_symlink() {
        return Err(untrusted(
            path,
            "it is a symbolic link".to_owned(),
            remove_remedy(path),
        ));
    }
    judge(path, &found)
}

/// Checks an existing folder; a missing one is fine, for commands that only read.
pub(crate) fn check_folder(path: &Path) -> Result<()> {
    match fs::metadata(path) {
        Ok(found) => judge(path, &found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("examine", path)(error)),
    }
}

fn make(path: &Path) -> Result<()> {
    match fs::DirBuilder::new().recursive(true).mode(0o700).create(path) {
        // Something that is no folder is there: the check says what.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(Error::io("make the folder", path)),
    }
}

fn judge(path: &Path, found: &fs::Metadata) -> Result<()> {
    let own = rustix::process::geteuid().as_raw();
    if !found.is_dir() {
        return Err(untrusted(
            path,
            "it is not a folder".to_owned(),
            remove_remedy(path),
        ));
    }
    if found.uid() != own {
        let why = format!(
            "it belongs to user {}, and this command runs as user {own}",
            found.uid()
        );
        let remedy = "run as its owner, or set AGENTKERNEL_HOME to a folder of your own".to_owned();
        return Err(untrusted(path, why, remedy));
    }
    if found.mode() & 0o022 != 0 {
        let why = format!("others may write to it (mode {:04o})", found.mode() & 0o7777);
        return Err(untrusted(path, why, format!("chmod go-w {}", path.display())));
    }
    Ok(())
}

fn untrusted(path: &Path, why: String, remedy: String) -> Error {
    Error::Untrusted {
        path: path.to_owned(),
        why,
        remedy,
    }
}

fn remove_remedy(path: &Path) -> String {
    format!(
        "look at {} and remove it, or set AGENTKERNEL_HOME to another folder",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use agentkernel_types::ErrorKind;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_missing_folder_is_made_private_with_its_parents() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/b/c");
        make_private_folder(&path).unwrap();
        assert_eq!([mode(&path), mode(&temp.path().join("a"))], [0o700, 0o700]);
        make_private_folder(&path).expect("making it again is a success");
    }

    #[test]
    fn a_folder_that_others_may_write_is_refused_with_the_remedy() {
        let temp = tempfile::tempdir().unwrap();
        for wrong in [0o770, 0o707, 0o777, 0o1777] {
            fs::set_permissions(temp.path(), fs::Permissions::from_mode(wrong)).unwrap();
            let error = make_private_folder(temp.path()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Denied);
            assert_eq!(
                error.hint().unwrap(),
                format!("chmod go-w {}", temp.path().display())
            );
        }
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o755)).unwrap();
        make_private_folder(temp.path()).expect("a folder that others may only read is fine");
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused() {
        if !rustix::process::geteuid().is_root() {
            assert!(make_private_folder(Path::new("/")).is_err());
            return;
        }
        let temp = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(temp.path(), Some(12345), None).unwrap();
        let error = make_private_folder(temp.path()).unwrap_err();
        assert!(error.to_string().contains("belongs to user 12345"), "{error}");
    }

    #[test]
    fn a_runtime_folder_is_never_a_link_but_a_data_folder_may_be() {
        let temp = tempfile::tempdir().unwrap();
        let (real, link) = (temp.path().join("real"), temp.path().join("link"));
        fs::DirBuilder::new().mode(0o700).create(&real).unwrap();
        symlink(&real, &link).unwrap();
        make_private_folder(&link).unwrap();
        assert!(
            make_runtime_folder(&link)
                .unwrap_err()
                .to_string()
                .contains("symbolic link")
        );
        let dangling = temp.path().join("dangling");
        symlink(temp.path().join("nowhere"), &dangling).unwrap();
        assert!(make_runtime_folder(&dangling).is_err());
        assert!(!temp.path().join("nowhere").exists());
    }

    #[test]
    fn a_file_in_its_place_is_refused() {
        let temp = tempfile::NamedTempFile::new().unwrap();
        assert!(
            make_private_folder(temp.path())
                .unwrap_err()
                .to_string()
                .contains("not a folder")
        );
    }
}
