//! Where our files lie. Resolving looks at the environment only; nothing is made here.

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::{Error, Result, make_private_folder, make_runtime_folder};

/// The four folders. None of them need exist: the `make_` functions make one at the first need.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Paths {
    /// What must survive a reboot: the kept sandboxes.
    pub data: PathBuf,
    /// What can be made again.
    pub cache: PathBuf,
    /// Sockets and locks of what runs now.
    pub runtime: PathBuf,
    /// What the user has written.
    pub config: PathBuf,
}

impl Paths {
    /// `AGENTKERNEL_HOME` puts all four below one folder; otherwise the XDG base directory specification rules.
    pub fn from_env() -> Result<Self> {
        let own = rustix::process::geteuid().as_raw();
        Self::resolve(&|name| env::var_os(name), etcetera::home_dir().ok(), own)
    }

    fn resolve(
        variable: &dyn Fn(&str) -> Option<OsString>,
        home: Option<PathBuf>,
        user: u32,
    ) -> Result<Self> {
        if let Some(base) = variable("AGENTKERNEL_HOME").filter(|value| !value.is_empty()) {
            let base = absolute("AGENTKERNEL_HOME", base)?;
            let below = |name| base.join(name);
            let (data, cache) = (below("data"), below("cache"));
            return Ok(Self {
                data,
                cache,
                runtime: below("run"),
                config: below("config"),
            });
        }
        let home = absolute("HOME", home.unwrap_or_default().into_os_string());
        let folder = |name: &str, default: &str| match given(variable, name) {
            Some(base) => Ok(base.join("agentkernel")),
            None => match &home {
                Ok(home) => Ok(home.join(default).join("agentkernel")),
                Err(_) => Err(no_home()),
            },
        };
        Ok(Self {
            data: folder("XDG_DATA_HOME", ".local/share")?,
            cache: folder("XDG_CACHE_HOME", ".cache")?,
            config: folder("XDG_CONFIG_HOME", ".config")?,
            runtime: runtime(given(variable, "XDG_RUNTIME_DIR"), user),
        })
    }

    /// The store of images: kept sandboxes need theirs, and imported ones cannot be fetched again.
    pub fn images(&self) -> PathBuf {
        self.data.join("images")
    }

    pub fn make_data(&self) -> Result<&Path> {
        make_private_folder(&self.data).map(|()| self.data.as_path())
    }

    pub fn make_cache(&self) -> Result<&Path> {
        make_private_folder(&self.cache).map(|()| self.cache.as_path())
    }

    pub fn make_config(&self) -> Result<&Path> {
        make_private_folder(&self.config).map(|()| self.config.as_path())
    }

    pub fn make_runtime(&self) -> Result<&Path> {
        make_runtime_folder(&self.runtime).map(|()| self.runtime.as_path())
    }
}

/// The specification says that a relative path is to be ignored.
fn given(variable: &dyn Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    variable(name)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

fn absolute(variable: &'static str, value: OsString) -> Result<PathBuf> {
    let path = PathBuf::from(&value);
    if path.is_absolute() {
        return Ok(path);
    }
    let value = value.to_string_lossy().into_owned();
    Err(Error::Environment {
        variable,
        value,
        why: "it is not an absolute path",
    })
}

fn no_home() -> Error {
    Error::Environment {
        variable: "HOME",
        value: String::new(),
        why: "the home folder is not known",
    }
}

/// `su` and `sudo` may leave the variable of another user behind, and containers one without a folder: then it is
/// as if it were not set.
fn runtime(given: Option<PathBuf>, user: u32) -> PathBuf {
    let own = |path: &PathBuf| fs::metadata(path).is_ok_and(|found| found.is_dir() && found.uid() == user);
    match given.filter(own) {
        Some(base) => base.join("agentkernel"),
        None if user == 0 => PathBuf::from("/run/agentkernel"),
        None => PathBuf::from(format!("/tmp/agentkernel-{user}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(variables: &[(&str, &str)], home: Option<&str>, user: u32) -> Result<Paths> {
        let variable = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        };
        Paths::resolve(&variable, home.map(PathBuf::from), user)
    }

    #[test]
    fn without_variables_everything_lies_in_the_home_folder_and_in_run_or_tmp() {
        let paths = resolve(&[], Some("/home/ada"), 1000).unwrap();
        assert_eq!(paths.data, Path::new("/home/ada/.local/share/agentkernel"));
        assert_eq!(paths.cache, Path::new("/home/ada/.cache/agentkernel"));
        assert_eq!(paths.config, Path::new("/home/ada/.config/agentkernel"));
        assert_eq!(paths.runtime, Path::new("/tmp/agentkernel-1000"));
        assert_eq!(
            resolve(&[], Some("/root"), 0).unwrap().runtime,
            Path::new("/run/agentkernel")
        );
    }

    #[test]
    fn xdg_variables_win_unless_they_are_relative() {
        let variables = [
            ("XDG_DATA_HOME", "/big"),
            ("XDG_CACHE_HOME", "relative"),
            ("XDG_CONFIG_HOME", ""),
        ];
        let paths = resolve(&variables, Some("/home/ada"), 1000).unwrap();
        assert_eq!(paths.data, Path::new("/big/agentkernel"));
        assert_eq!(paths.cache, Path::new("/home/ada/.cache/agentkernel"));
        assert_eq!(paths.config, Path::new("/home/ada/.config/agentkernel"));
    }

    #[test]
    fn one_variable_moves_everything() {
        let variables = [("AGENTKERNEL_HOME", "/srv/ak"), ("XDG_DATA_HOME", "/big")];
        let paths = resolve(&variables, None, 1000).unwrap();
        let below = |name: &str| Path::new("/srv/ak").join(name);
        let expected = Paths {
            data: below("data"),
            cache: below("cache"),
            runtime: below("run"),
            config: below("config"),
        };
        assert_eq!(paths, expected);
        let error = resolve(&[("AGENTKERNEL_HOME", "ak")], Some("/home/ada"), 1000).unwrap_err();
        assert_eq!(
            error.to_string(),
            "AGENTKERNEL_HOME is \"ak\": it is not an absolute path"
        );
    }

    #[test]
    fn a_runtime_folder_of_somebody_else_or_of_nobody_is_not_used() {
        let temp = tempfile::tempdir().unwrap();
        let (own, base) = (rustix::process::geteuid().as_raw(), temp.path().to_str().unwrap());
        let runtime = |base, user| {
            resolve(&[("XDG_RUNTIME_DIR", base)], Some("/h"), user)
                .unwrap()
                .runtime
        };
        assert_eq!(runtime(base, own), temp.path().join("agentkernel"));
        assert_eq!(
            runtime(base, own + 1),
            PathBuf::from(format!("/tmp/agentkernel-{}", own + 1))
        );
        assert_eq!(runtime("/nowhere/at/all", 7), Path::new("/tmp/agentkernel-7"));
    }

    #[test]
    fn an_unknown_home_folder_is_an_error_only_if_it_is_needed() {
        assert!(resolve(&[], None, 1000).unwrap_err().to_string().contains("HOME"));
        let all = [
            ("XDG_DATA_HOME", "/d"),
            ("XDG_CACHE_HOME", "/c"),
            ("XDG_CONFIG_HOME", "/e"),
        ];
        assert_eq!(
            resolve(&all, None, 1000).unwrap().config,
            Path::new("/e/agentkernel")
        );
    }

    #[test]
    fn resolving_makes_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().join("home");
        resolve(&[("AGENTKERNEL_HOME", base.to_str().unwrap())], None, 0).unwrap();
        assert!(!base.exists());
    }
}
