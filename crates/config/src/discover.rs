//! Finds the project's file by walking up, and knows where to stop.
//!
//! The walk looks into the start folder and the ones above it. It ends
//! - after the home folder, when it started beneath it (what lies above is not the user's project);
//! - before a folder on another file system (a bind mount's outside is not the project either);
//! - before a folder above the start that every user may write (`/tmp`: anybody could plant a file);
//! - after a folder that belongs to neither the caller nor root.

use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use agentkernel_types::ErrorKind;

use crate::{PROJECT_FILE, error::ConfigError, file::caller, problem::display};

/// The path of the file, if there is one. Whether it may be read is the reader's judgement.
pub(crate) fn discover(start: &Path, home: Option<&Path>) -> Result<Option<PathBuf>, ConfigError> {
    let start = fs::canonicalize(start).map_err(|error| {
        ConfigError::new(
            ErrorKind::NotFound,
            format!("cannot look into {}: {error}", display(start)),
        )
    })?;
    let home = home.and_then(|home| fs::canonicalize(home).ok());
    let mut device = None;
    for folder in start.ancestors() {
        let Ok(metadata) = fs::metadata(folder) else {
            return Ok(None);
        };
        let above = folder != start;
        if above && (device.is_some_and(|device| device != metadata.dev()) || is_writable_by_all(&metadata)) {
            return Ok(None);
        }
        device = Some(metadata.dev());
        let candidate = folder.join(PROJECT_FILE);
        // A link that leads nowhere is found too: the reader then says what is wrong with it.
        if fs::symlink_metadata(&candidate).is_ok() {
            return Ok(Some(candidate));
        }
        let foreign = metadata.uid() != caller() && metadata.uid() != 0;
        if foreign || home.as_deref() == Some(folder) {
            return Ok(None);
        }
    }
    Ok(None)
}

fn is_writable_by_all(metadata: &Metadata) -> bool {
    metadata.mode() & 0o002 != 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn tree() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let root = folder.path().canonicalize().expect("it exists");
        fs::create_dir_all(root.join("home/code/inner")).expect("folders");
        (folder, root)
    }

    #[test]
    fn the_home_folder_is_the_last_one_looked_into() {
        let (_guard, root) = tree();
        let home = root.join("home");
        fs::write(root.join(PROJECT_FILE), "").expect("a file");
        assert_eq!(discover(&home.join("code"), Some(&home)).expect("a walk"), None);
        fs::write(home.join(PROJECT_FILE), "").expect("a file");
        assert_eq!(
            discover(&home.join("code"), Some(&home)).expect("a walk"),
            Some(home.join(PROJECT_FILE))
        );
    }

    #[test]
    fn the_nearest_file_wins() {
        let (_guard, root) = tree();
        fs::write(root.join("home").join(PROJECT_FILE), "").expect("a file");
        fs::write(root.join("home/code").join(PROJECT_FILE), "").expect("a file");
        let found = discover(&root.join("home/code/inner"), None).expect("a walk");
        assert_eq!(found, Some(root.join("home/code").join(PROJECT_FILE)));
    }

    #[test]
    fn a_folder_above_that_everybody_can_write_is_not_looked_into() {
        let (_guard, root) = tree();
        let shared = root.join("home");
        fs::write(shared.join(PROJECT_FILE), "").expect("a file");
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).expect("it is ours");
        assert_eq!(discover(&shared.join("code"), None).expect("a walk"), None);
        assert_eq!(
            discover(&shared, None).expect("a walk"),
            Some(shared.join(PROJECT_FILE))
        );
    }

    #[test]
    fn a_start_that_does_not_exist_is_an_error() {
        let (_guard, root) = tree();
        let error = discover(&root.join("none"), None).expect_err("there is no such folder");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
