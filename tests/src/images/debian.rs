//! Root file systems of real languages, made of the distribution's packages.
//!
//! They are unpacked, not installed: no script of a package runs, so an image takes seconds. What a script would
//! have done (an alternative, a link) is done by `finish`. Each root is made once and kept in the build folder.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::{Blob, Body, Compression, Image, digest};
use crate::{have, skipped};

/// A language, and the image that detection chooses for it.
#[derive(Clone, Copy, Debug)]
pub struct Language {
    pub name: &'static str,
    /// Repository and tag at Docker Hub.
    pub image: &'static str,
    packages: &'static str,
    /// Shell commands in the finished root.
    finish: &'static str,
    compression: Compression,
}

pub const PYTHON: Language = Language {
    name: "python",
    image: "library/python:3.12-alpine",
    packages: "dash,python3",
    finish: "ln -s python3 usr/bin/python",
    compression: Compression::Gzip,
};

pub const NODE: Language = Language {
    name: "node",
    image: "library/node:22-alpine",
    packages: "dash,nodejs",
    finish: "true",
    compression: Compression::Zstd,
};

pub const C: Language = Language {
    name: "c",
    image: "library/gcc:14-bookworm",
    packages: "dash,coreutils,gcc,libc6-dev,make",
    finish: "ln -s gcc usr/bin/cc; rm -f usr/lib/gcc/*/*/lto1",
    compression: Compression::Zstd,
};

pub const RUBY: Language = Language {
    name: "ruby",
    image: "library/ruby:3.3-alpine",
    packages: "dash,ruby,ruby-minitest",
    finish: "true",
    compression: Compression::Gzip,
};

pub const JAVA: Language = Language {
    name: "java",
    image: "library/eclipse-temurin:21-alpine",
    packages: "dash,openjdk-17-jdk-headless",
    finish: "rm -rf usr/lib/jvm/*/jmods; cd usr/bin; ln -s ../lib/jvm/java-17-*/bin/java ../lib/jvm/java-17-*/bin/javac .",
    compression: Compression::Zstd,
};

pub const SHELL: Language = Language {
    name: "shell",
    image: "library/bash:5",
    packages: "dash,bash,coreutils,grep,sed",
    finish: "true",
    compression: Compression::None,
};

const TRIM: &str = "rm -rf usr/share/doc usr/share/man usr/share/locale usr/share/info";
const ACCOUNTS: &str = "echo root:x:0:0:root:/root:/bin/sh > etc/passwd && echo root:x:0: > etc/group";

impl Language {
    /// None, and it says why, where such a root cannot be made.
    pub fn image(&self) -> Option<Image> {
        if !have(&["mmdebstrap", "zstd", "gzip", "sha256sum"]) {
            return None;
        }
        let folder = cache().join(self.key());
        fs::create_dir_all(&folder).expect("the build folder can be written");
        let lock = File::create(folder.join("lock")).expect("the build folder can be written");
        lock.lock().expect("a file can be locked");
        let facts = folder.join("facts.json");
        if !facts.is_file()
            && let Err(why) = self.make(&folder)
        {
            skipped(&format!("no root file system for {}: {why}", self.name));
            return None;
        }
        let facts = fs::read(&facts).expect("it was just written");
        let facts: Value = serde_json::from_slice(&facts).expect("it is JSON of ours");
        let text = |key: &str| facts[key].as_str().expect("a fact is a text").to_owned();
        let blob = Blob {
            media_type: self.compression.media_type().to_owned(),
            digest: text("digest"),
            size: facts["size"].as_u64().expect("a size is a number"),
            body: Body::File(folder.join("layer")),
        };
        let path = json!(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]);
        Some(Image::default().blob(blob, &text("diff_id")).set("Env", path))
    }

    /// Another recipe is another root.
    fn key(&self) -> String {
        let recipe = format!("{self:?} {TRIM} {ACCOUNTS}");
        format!(
            "{}-{}",
            self.name,
            &digest(recipe.as_bytes())["sha256:".len()..][..12]
        )
    }

    /// Writes `layer` and, when it is complete, `facts.json`.
    fn make(&self, folder: &Path) -> Result<(), String> {
        let archive = folder.join("root.tar");
        let layer = folder.join("layer");
        bootstrap(self, &archive)?;
        let diff_id = checksum(&archive)?;
        let output = || File::create(&layer).map_err(|error| error.to_string());
        match self.compression {
            Compression::None => fs::rename(&archive, &layer).map_err(|error| error.to_string())?,
            Compression::Gzip => run(Command::new("gzip")
                .args(["-1", "-c"])
                .arg(&archive)
                .stdout(output()?))?,
            Compression::Zstd => run(Command::new("zstd")
                .args(["-q", "-1", "-c"])
                .arg(&archive)
                .stdout(output()?))?,
        }
        let _ = fs::remove_file(&archive);
        let size = fs::metadata(&layer).map_err(|error| error.to_string())?.len();
        let facts = json!({ "diff_id": diff_id, "digest": checksum(&layer)?, "size": size });
        let unfinished = folder.join("facts.json.new");
        fs::write(&unfinished, facts.to_string()).map_err(|error| error.to_string())?;
        fs::rename(unfinished, folder.join("facts.json")).map_err(|error| error.to_string())
    }
}

/// The sources are those of this machine: nothing here names a server.
fn bootstrap(language: &Language, archive: &Path) -> Result<(), String> {
    let sources = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];
    let sources = sources
        .into_iter()
        .find(|path| fs::metadata(path).is_ok_and(|file| file.len() > 0))
        .ok_or("this machine has no sources of Debian packages")?;
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let suite = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .ok_or("this machine is no release of Debian")?;
    let finish = format!("cd \"$1\" && {TRIM} && {ACCOUNTS} && {}", language.finish);
    run(Command::new("mmdebstrap")
        .args(["--quiet", "--variant=extract", "--include", language.packages])
        .arg("--setup-hook=/usr/share/mmdebstrap/hooks/merged-usr/setup00.sh")
        .arg(format!("--extract-hook={finish}"))
        .args([suite.trim_matches('"')])
        .arg(archive)
        .arg(sources))
}

fn checksum(path: &Path) -> Result<String, String> {
    let output = Command::new("sha256sum")
        .arg(path)
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let hex = text.split(' ').next().filter(|hex| hex.len() == 64);
    hex.map(|hex| format!("sha256:{hex}"))
        .ok_or_else(|| "sha256sum says nothing".to_owned())
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .map_err(|error| error.to_string())?;
    let errors = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{:?}: {}", command.get_program(), errors.trim_end())),
    }
}

/// `<target>/tmp/roots`: gone with `cargo clean`.
fn cache() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has an executable");
    let target = test
        .ancestors()
        .nth(3)
        .expect("a test lies in <target>/<profile>/deps");
    target.join("tmp/roots")
}
