//! `cargo xtask tidy`: the house rules that no compiler checks. Every rule is a pure function over text, so that
//! its test can plant a violation; only this file reads the disk.

mod documents;
mod layers;
mod lengths;
mod lexer;
mod names;
mod promises;
mod rust_rules;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};

/// One broken rule: where, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// Relative to the root of the repository.
    pub place: String,
    /// 0 where the whole file is meant.
    pub line: usize,
    pub message: String,
}

impl Violation {
    pub fn new(place: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            line,
            message: message.into(),
        }
    }
}

/// A text file of the repository.
pub struct SourceFile {
    /// With `/`, relative to the root.
    pub path: String,
    pub text: String,
}

#[expect(clippy::print_stdout, reason = "a chore reports to its terminal")]
pub fn run(root: &Path) -> Result<ExitCode> {
    let rust = read_all(root, "rs")?;
    let documents = read_all(root, "md")?;
    let mut violations = layers::check(&layers::packages(&metadata(root)?)?);
    let lengths = lengths::measure(&rust);
    violations.extend(lengths::check(&lengths));
    violations.extend(rust.iter().flat_map(names::check));
    violations.extend(rust.iter().flat_map(rust_rules::check));
    let machine_paths = machine_paths(root);
    let exists = |path: &str| root.join(path).exists();
    for file in &documents {
        violations.extend(documents::check(file, &machine_paths));
        violations.extend(documents::check_links(file, exists));
    }
    violations.extend(promises::check(&documents, &rust));

    println!("{} Rust files; the longest, without their tests:", rust.len());
    for (lines, path) in lengths.iter().take(20) {
        println!("{lines:6} {path}");
    }
    for Violation { place, line, message } in &violations {
        println!("{place}:{line}: {message}");
    }
    println!("{} violations", violations.len());
    Ok(if violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn metadata(root: &Path) -> Result<serde_json::Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("cargo metadata gave no JSON")
}

/// Every file with this extension that belongs to the repository, in the order of their paths.
fn read_all(root: &Path, extension: &str) -> Result<Vec<SourceFile>> {
    let mut folders = vec![root.to_path_buf()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let entry = entry?;
            let name = entry.file_name();
            let skipped = name == "target" || name.as_encoded_bytes().starts_with(b".");
            if entry.file_type()?.is_dir() && !skipped {
                folders.push(entry.path());
            } else if entry.path().extension().is_some_and(|found| found == extension) {
                files.push(read(root, &entry.path())?);
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn read(root: &Path, path: &Path) -> Result<SourceFile> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let relative = path.strip_prefix(root).unwrap_or(path);
    Ok(SourceFile {
        path: relative.to_string_lossy().replace('\\', "/"),
        text,
    })
}

/// Folders of this very machine, which no document may mention.
fn machine_paths(root: &Path) -> Vec<String> {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    [Some(root.to_path_buf()), cargo_home]
        .into_iter()
        .flatten()
        .filter(|path| path.components().count() > 2)
        .map(|path| path.to_string_lossy().into_owned())
        .collect()
}
