//! A project that lives in memory.

#![allow(dead_code, reason = "each test binary uses its own part")]

use agentkernel_detect::{Detection, Project, Request, detect};
use agentkernel_types::Command;

#[derive(Default)]
pub struct Fake {
    names: Vec<String>,
    texts: Vec<String>,
}

impl Fake {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let (names, texts) = files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .unzip();
        Self { names, texts }
    }

    pub fn of_names(names: &[&str]) -> Self {
        Self::new(&names.iter().map(|name| (*name, "")).collect::<Vec<_>>())
    }
}

impl Project for Fake {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn read(&self, name: &str) -> Option<String> {
        let index = self.names.iter().position(|listed| listed == name)?;
        Some(self.texts[index].clone())
    }
}

pub fn command(line: &str) -> Command {
    Command::new(line.split(' ').map(str::to_owned)).expect("a command")
}

pub fn of_command(line: &str) -> Detection {
    detect(&Request {
        command: Some(&command(line)),
        ..Request::default()
    })
}

pub fn of_project(project: &Fake) -> Detection {
    detect(&Request {
        project: Some(project),
        ..Request::default()
    })
}

pub fn of_both(line: &str, project: &Fake) -> Detection {
    detect(&Request {
        command: Some(&command(line)),
        project: Some(project),
        ..Request::default()
    })
}
