//! `[[files]]`: which file of the project goes where. A repository must not be able to copy anything
//! from outside of itself into a sandbox that it also controls.

use std::{
    fs, io,
    ops::Range,
    path::{Component, Path, PathBuf},
};

use agentkernel_types::{ErrorKind, GuestPath};

use crate::{
    Origin,
    layer::{At, FileDraft, Layer},
    problem::Problem,
};

const DEFAULT_MODE: u32 = 0o644;

/// A file to copy into the sandbox before the command starts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileEntry {
    /// Absolute, a regular file beneath the project, with all symbolic links resolved at that time.
    /// Whoever opens it later does so without following links.
    pub source: PathBuf,
    pub dest: GuestPath,
    /// Permission bits, at most 0777.
    pub mode: u32,
    pub origin: Origin,
}

pub(crate) fn entries(layer: &Layer, home: Option<&Path>, problems: &mut Vec<Problem>) -> Vec<FileEntry> {
    let mut entries: Vec<FileEntry> = Vec::new();
    for draft in &layer.values.files {
        let FileDraft {
            source: Some(source),
            dest: Some(dest),
            ..
        } = draft
        else {
            continue;
        };
        match entry(layer, home, draft, source, dest) {
            Ok(entry) if entries.iter().any(|earlier| earlier.dest == entry.dest) => {
                let title = format!("`files.dest`: {} is the destination of two entries", entry.dest);
                problems.push(Problem::invalid(&layer.file, dest.span.clone(), title));
            }
            Ok(entry) => entries.push(entry),
            Err(problem) => problems.push(*problem),
        }
    }
    entries
}

fn entry(
    layer: &Layer,
    home: Option<&Path>,
    draft: &FileDraft,
    source: &At<String>,
    dest: &At<GuestPath>,
) -> Result<FileEntry, Box<Problem>> {
    let wrong = |kind: ErrorKind, span: &Range<usize>, title: String| {
        Box::new(Problem::new(kind, &layer.file, span.clone(), title))
    };
    if dest.value.is_root() {
        return Err(wrong(
            ErrorKind::InvalidSpec,
            &dest.span,
            "`files.dest`: the root is not a file".to_owned(),
        ));
    }
    let folder = layer.file.path.parent().unwrap_or(Path::new("/"));
    let resolved = resolve(folder, home, &source.value)
        .map_err(|(kind, why)| wrong(kind, &source.span, format!("`files.source`: {why}")))?;
    let mode = draft.mode.as_ref().map_or(DEFAULT_MODE, |mode| mode.value);
    Ok(FileEntry {
        source: resolved,
        dest: dest.value.clone(),
        mode,
        origin: layer.origin(&source.span),
    })
}

type Refusal = (ErrorKind, String);

fn resolve(folder: &Path, home: Option<&Path>, source: &str) -> Result<PathBuf, Refusal> {
    let invalid = |why: &str| Err((ErrorKind::InvalidSpec, format!("{source:?} {why}")));
    let path = Path::new(source);
    if source.is_empty() || source.contains('\0') {
        return invalid("is not a path");
    }
    if !path
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    {
        return invalid("must be relative and beneath the file's folder, without '..'");
    }
    let folder = fs::canonicalize(folder).map_err(|error| cannot_use(source, &error))?;
    // A file in the home folder, or above it, would make every key store a file "of the project".
    if home
        .and_then(|home| fs::canonicalize(home).ok())
        .is_some_and(|home| home.starts_with(&folder))
    {
        let why = "cannot be copied: the file's folder holds your home folder, so everything you own would be its project";
        return Err((ErrorKind::Denied, format!("{source:?} {why}")));
    }
    let resolved = fs::canonicalize(folder.join(path)).map_err(|error| cannot_use(source, &error))?;
    if !resolved.starts_with(&folder) {
        return Err((
            ErrorKind::Denied,
            format!("{source:?} leads out of the project through a symbolic link"),
        ));
    }
    let metadata = fs::symlink_metadata(&resolved).map_err(|error| cannot_use(source, &error))?;
    if !metadata.is_file() {
        return invalid("is not a regular file");
    }
    Ok(resolved)
}

fn cannot_use(source: &str, error: &io::Error) -> Refusal {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        _ => ErrorKind::InvalidSpec,
    };
    (kind, format!("cannot use {source:?}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_that_holds_the_home_folder_injects_nothing() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let home = folder.path().join("home");
        fs::create_dir_all(home.join("code")).expect("folders");
        for place in ["home", "home/code", "."] {
            fs::write(folder.path().join(place).join("key"), "x").expect("a file");
        }
        let kind = |place: &Path| resolve(place, Some(&home), "key").err().map(|(kind, _)| kind);
        assert_eq!(kind(&home), Some(ErrorKind::Denied));
        assert_eq!(kind(folder.path()), Some(ErrorKind::Denied));
        assert_eq!(kind(&home.join("code")), None);
    }
}
