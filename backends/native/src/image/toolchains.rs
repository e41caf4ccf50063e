//! Toolchain folders outside /usr that people's PATH leads to.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A folder of the host that is visible inside, read-only, at the same path (toolchains know their own path).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Toolchain {
    pub path: PathBuf,
    /// What programs of it need to find it, since HOME is another inside.
    pub variable: Option<(String, String)>,
    /// `(folder of wrapper scripts, folder of the real programs)`.
    direct: Option<(PathBuf, PathBuf)>,
}

/// Beneath the home folder: only what holds programs, never configuration or credentials. With the variable
/// that points to the folder.
const IN_HOME: [(&str, Option<&str>); 17] = [
    (".pyenv", Some("PYENV_ROOT")),
    (".nvm/versions", None),
    (".rustup", Some("RUSTUP_HOME")),
    (".cargo/bin", None),
    ("go/bin", None),
    ("sdk", None),
    (".go", None),
    (".sdkman/candidates", None),
    (".asdf", Some("ASDF_DATA_DIR")),
    (".local/share/mise", Some("MISE_DATA_DIR")),
    (".rbenv", Some("RBENV_ROOT")),
    (".bun/bin", None),
    (".deno/bin", None),
    (".volta", Some("VOLTA_HOME")),
    (".local/share/uv/python", None),
    (".local/share/fnm", None),
    (".juliaup", None),
];

const OUTSIDE_HOME: [&str; 3] = ["/nix/store", "/home/linuxbrew/.linuxbrew", "/snap"];

pub(crate) fn find(home: Option<&Path>) -> Vec<Toolchain> {
    let outside = OUTSIDE_HOME.iter().map(|path| (PathBuf::from(path), None));
    let inside = home.into_iter().flat_map(|home| {
        IN_HOME
            .iter()
            .map(move |(path, variable)| (home.join(path), *variable))
    });
    outside
        .chain(inside)
        .filter_map(|(path, variable)| toolchain(path, variable))
        .collect()
}

fn toolchain(path: PathBuf, variable: Option<&str>) -> Option<Toolchain> {
    // Most are not there: asked first, because resolving costs a call for each part of the path.
    if !fs::symlink_metadata(&path).ok()?.is_dir() {
        return None;
    }
    // A link on the way could lead to anything: then it is not shown.
    if fs::canonicalize(&path).ok()? != path {
        return None;
    }
    let text = path.to_str()?.to_owned();
    let direct = (variable == Some("PYENV_ROOT")).then(|| pyenv(&path)).flatten();
    Some(Toolchain {
        variable: variable.map(|name| (name.to_owned(), text)),
        path,
        direct,
    })
}

/// pyenv's wrappers cost tens of milliseconds a start. The version that they would choose for a folder
/// without a pin of its own comes before them on the PATH.
fn pyenv(root: &Path) -> Option<(PathBuf, PathBuf)> {
    let chosen = fs::read_to_string(root.join("version")).ok()?;
    let version = chosen.split_whitespace().next()?;
    let plain = version
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    let programs = root.join("versions").join(version).join("bin");
    (plain && version != ".." && programs.is_dir()).then(|| (root.join("shims"), programs))
}

impl Toolchain {
    /// The folder that comes before `entry` on the PATH.
    pub(crate) fn instead_of(&self, entry: &str) -> Option<String> {
        let (wrappers, programs) = self.direct.as_ref()?;
        (Path::new(entry) == wrappers).then(|| programs.to_string_lossy().into_owned())
    }
}
