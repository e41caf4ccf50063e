//! A project folder and a user's file in a temporary folder, so that every test says only its text.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{fs, path::PathBuf};

use agentkernel_config::{ConfigError, Overrides, ProjectFile, Resolved, Sources, resolve};
use tempfile::TempDir;

pub struct Place {
    pub folder: TempDir,
    pub sources: Sources,
}

impl Place {
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let project = folder.path().join("project");
        fs::create_dir(&project).expect("a project folder");
        let sources = Sources {
            user_file: Some(folder.path().join("config.toml")),
            project_file: ProjectFile::Discover(project),
            ..Sources::default()
        };
        Self { folder, sources }
    }

    pub fn project(self, text: impl AsRef<[u8]>) -> Self {
        fs::write(self.path("project/agentkernel.toml"), text).expect("the project's file");
        self
    }

    pub fn user(self, text: impl AsRef<[u8]>) -> Self {
        fs::write(self.path("config.toml"), text).expect("the user's file");
        self
    }

    pub fn flags(mut self, flags: Overrides) -> Self {
        self.sources.flags = flags;
        self
    }

    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder
            .path()
            .canonicalize()
            .expect("a temporary folder")
            .join(relative)
    }

    pub fn resolve(&self) -> Result<Resolved, ConfigError> {
        resolve(&self.sources)
    }

    pub fn settings(&self) -> Resolved {
        self.resolve().unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn error(&self) -> ConfigError {
        self.resolve().expect_err("these settings are wrong")
    }

    /// The whole text, with the folder's name taken out.
    pub fn message(&self) -> String {
        let folder = self.folder.path().display().to_string();
        self.error().to_string().replace(&folder, "DIR")
    }
}
