//! What a build depends on, as one name: the same inputs are not built twice.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use agentkernel_types::ErrorKind;
use sha2::{Digest as _, Sha256};

use super::{context, ignore::Ignored};
use crate::{Error, Reference, Result};

/// Everything that a build is made from.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// Absolute.
    pub context: PathBuf,
    /// Absolute.
    pub dockerfile: PathBuf,
    pub target: Option<String>,
    pub args: BTreeMap<String, String>,
    /// The name under which its result is kept.
    pub name: Reference,
}

/// Looks at everything that the engine would get. `dockerfile` is relative to the context; without one it is
/// `Dockerfile` or `Containerfile`.
pub fn inputs(
    context: &Path,
    dockerfile: Option<&Path>,
    target: Option<&str>,
    args: &BTreeMap<String, String>,
) -> Result<Inputs> {
    if !context.is_dir() {
        return Err(absent(format!(
            "the build context {} is not a folder",
            context.display()
        )));
    }
    let dockerfile = match dockerfile {
        Some(file) => context.join(file),
        None => ["Dockerfile", "Containerfile"]
            .map(|name| context.join(name))
            .into_iter()
            .find(|file| file.is_file())
            .ok_or_else(|| {
                absent(format!("there is no Dockerfile in {}", context.display())).hint("name it: -f FILE")
            })?,
    };
    if !dockerfile.is_file() {
        return Err(absent(format!("there is no file {}", dockerfile.display())));
    }
    let ignored = ignored(context, &dockerfile);
    let mut hash = Sha256::new();
    context::add(&mut hash, b"agentkernel build 1");
    context::content(&dockerfile, &mut hash)?;
    context::add(&mut hash, target.unwrap_or_default().as_bytes());
    for (name, value) in args {
        context::add(&mut hash, name.as_bytes());
        context::add(&mut hash, value.as_bytes());
    }
    context::hash(context, &ignored, &mut hash)?;
    let digits: String = hash
        .finalize()
        .iter()
        .take(20)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(Inputs {
        context: context.to_owned(),
        dockerfile,
        target: target.map(str::to_owned),
        args: args.clone(),
        name: format!("localhost/agentkernel-build:{digits}").parse()?,
    })
}

/// Some engines know other files as well, which then count instead: in doubt nothing is ignored.
fn ignored(context: &Path, dockerfile: &Path) -> Ignored {
    let mut own = dockerfile.as_os_str().to_owned();
    own.push(".dockerignore");
    if Path::new(&own).exists() || context.join(".containerignore").exists() {
        return Ignored::default();
    }
    fs::read_to_string(context.join(".dockerignore"))
        .map_or_else(|_| Ignored::default(), |text| Ignored::parse(&text))
}

fn absent(message: String) -> Error {
    Error::new(ErrorKind::NotFound, "image", message)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn name(folder: &Path, args: &[(&str, &str)], target: Option<&str>) -> String {
        let args = args
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        inputs(folder, None, target, &args)
            .expect("it is a context")
            .name
            .to_string()
    }

    #[test]
    fn every_input_counts_and_nothing_else() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
        write("Dockerfile", "FROM scratch");
        write("a", "1");
        fs::create_dir(folder.path().join("ignored")).expect("a folder");
        write(".dockerignore", "ignored");
        let name = |args: &[(&str, &str)], target| name(folder.path(), args, target);
        let first = name(&[], None);
        assert_eq!(first, name(&[], None));
        write("ignored/b", "2");
        assert_eq!(first, name(&[], None));
        let mut seen = vec![first, name(&[("A", "1")], None), name(&[], Some("stage"))];
        write("a", "2");
        seen.push(name(&[], None));
        // A file that some engines prefer: what they leave out is no longer known.
        write("Dockerfile.dockerignore", "");
        seen.push(name(&[], None));
        write("ignored/b", "3");
        seen.push(name(&[], None));
        fs::set_permissions(folder.path().join("a"), fs::Permissions::from_mode(0o755)).expect("a mode");
        seen.push(name(&[], None));
        write("Dockerfile", "FROM other");
        seen.push(name(&[], None));
        std::os::unix::fs::symlink("a", folder.path().join("link")).expect("a link");
        seen.push(name(&[], None));
        for (index, one) in seen.iter().enumerate() {
            assert!(!seen[index + 1..].contains(one), "{seen:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let none = BTreeMap::new();
        let error = inputs(folder.path(), None, None, &none).expect_err("nothing is there");
        assert!(error.message().contains("no Dockerfile"), "{error}");
        let error =
            inputs(folder.path(), Some(Path::new("other")), None, &none).expect_err("nothing is there");
        assert!(error.message().contains("other"), "{error}");
    }
}
