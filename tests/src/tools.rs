//! Programs of the host that a test may need, and what happens where one is missing.

use std::path::PathBuf;

/// Set where a missing program is a failure and no reason to skip.
const REQUIRED: &str = "AGENTKERNEL_TEST_TOOLS";

/// Whether all of these are in the path. If not, the test says so and ends, or fails where tools are required.
pub fn have(names: &[&str]) -> bool {
    let missing: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| in_path(name).is_none())
        .collect();
    if !missing.is_empty() {
        skipped(&format!("{} is not installed", missing.join(", ")));
    }
    missing.is_empty()
}

/// Says why a test ends before it has begun.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
pub fn skipped(why: &str) {
    let required = std::env::var_os(REQUIRED).is_some_and(|value| value == "required");
    assert!(!required, "{why}, and {REQUIRED} is `required`");
    println!("skipped: {why}");
}

/// Where a program of the host lies, also those that only root has in its path.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}
