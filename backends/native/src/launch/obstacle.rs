//! What in an image is in the way, said by name.
//!
//! The child refuses to go through a link and only knows an error number. This looks at the layers afterwards, for the
//! message alone: it decides nothing.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use agentkernel_backend::Error;
use agentkernel_types::ErrorKind;
use rustix::io::Errno;

use super::plan::{Overlay, Plan, Step};

/// None: not the fault of the image.
pub(super) fn explain(step: &Step, error: Errno, plan: &Plan) -> Option<Error> {
    let overlay = plan.overlay.as_ref()?;
    let blocked = [
        Errno::LOOP,
        Errno::NOTDIR,
        Errno::ISDIR,
        Errno::EXIST,
        Errno::INVAL,
        Errno::NOENT,
    ];
    if !blocked.contains(&error) {
        return None;
    }
    let target = step.target().to_string_lossy().into_owned();
    let found = match find(overlay, &target) {
        Some((path, what)) => format!("/{path} in the image is {what}"),
        None if error == Errno::LOOP => format!("/{target} goes through a symbolic link in the sandbox"),
        None => format!("/{target} in the sandbox is not what can be used there"),
    };
    let kernel = ["proc", "sys", "dev", "etc", "tmp", "run"];
    let first = target.split('/').next().unwrap_or_default();
    let error = Error::new(ErrorKind::InvalidSpec, "start", found).because(std::io::Error::from(error));
    Some(if kernel.contains(&first) {
        error
            .with("field", "image")
            .hint("every sandbox has its own: use another image")
    } else {
        error
            .with("field", "mounts")
            .hint("name a target that goes through no link of the image")
    })
}

/// The first part of `target` that cannot be gone through.
fn find(overlay: &Overlay, target: &str) -> Option<(String, &'static str)> {
    let mut path = PathBuf::new();
    for part in target.split('/') {
        path.push(part);
        // Whatever is found below is a folder, so no link is followed on the host.
        let what = overlay.trees.iter().find_map(|tree| kind(tree, &path))?;
        if what != FOLDER {
            return (what != NOTHING).then(|| (path.to_string_lossy().into_owned(), what));
        }
    }
    Some((target.to_owned(), FOLDER))
}

const FOLDER: &str = "a folder";
const NOTHING: &str = "nothing";

/// None: this layer does not say.
fn kind(tree: &Path, path: &Path) -> Option<&'static str> {
    let found = fs::symlink_metadata(tree.join(path)).ok()?;
    let kind = found.file_type();
    Some(if kind.is_dir() {
        FOLDER
    } else if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_char_device() && found.rdev() == 0 {
        NOTHING
    } else {
        "a file"
    })
}
