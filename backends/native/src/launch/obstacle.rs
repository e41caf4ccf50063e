//! What in an image is in the way, said by name.
//!
//! The child refuses to go through a link and only knows an error number. This looks at the layers afterwards, for the
//! message alone: it decides nothing.

use std::path::{Path, PathBuf};

use agentkernel_backend::Error;
use agentkernel_types::ErrorKind;
use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2},
    io::Errno,
};

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
    let error = Error::new(ErrorKind::InvalidSpec, "start", found).because(std::io::Error::from(error));
    let first = target.split('/').next().unwrap_or_default();
    Some(match step {
        Step::MakeResolved { .. } => error
            .with("field", "workdir")
            .hint("choose another with --workdir"),
        _ if OURS.contains(&first) => error
            .with("field", "image")
            .hint("every sandbox has its own there: use another image"),
        _ => error
            .with("field", "mounts")
            .hint("name a target that goes through no link of the image"),
    })
}

/// What every root has of ours.
const OURS: [&str; 6] = ["proc", "sys", "dev", "etc", "tmp", "run"];

/// The first part of `target` that cannot be gone through.
fn find(overlay: &Overlay, target: &str) -> Option<(String, &'static str)> {
    let mut path = PathBuf::new();
    for part in target.split('/') {
        path.push(part);
        let what = overlay.trees.iter().find_map(|tree| kind(tree, &path))?;
        if what != FOLDER {
            return (what != NOTHING).then(|| (path.to_string_lossy().into_owned(), what));
        }
    }
    Some((target.to_owned(), FOLDER))
}

const FOLDER: &str = "a folder";
const NOTHING: &str = "nothing";

/// None: this layer does not say. A link of the layer is never followed on the host.
fn kind(tree: &Path, path: &Path) -> Option<&'static str> {
    let tree = open(tree, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let found = openat2(&tree, path, flags, Mode::empty(), resolve).ok()?;
    let found = fstat(&found).ok()?;
    Some(match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory => FOLDER,
        FileType::Symlink => "a symbolic link",
        FileType::CharacterDevice if found.st_rdev == 0 => NOTHING,
        _ => "a file",
    })
}
