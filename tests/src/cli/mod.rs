//! Drives the real binary as a person would, each test in a home of its own.
//!
//! Nothing here knows how the product works inside: it starts programs, reads streams and looks at the host.

mod home;
mod host;
mod outcome;
mod terminal;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

pub use home::{Home, PATIENCE};
pub use host::{
    Footprint, init_of, kill, marker, namespace, parent_of, process_mentions, processes_with, sleepers,
};
pub use outcome::{Outcome, find, mentions, wait_for};
pub use terminal::Terminal;

/// The binary under test: `AGENTKERNEL_BIN`, else the one that cargo has built beside this test.
pub fn binary() -> PathBuf {
    if let Some(given) = std::env::var_os("AGENTKERNEL_BIN") {
        let path = PathBuf::from(given);
        assert!(
            path.is_file(),
            "AGENTKERNEL_BIN is {}, which is no file",
            path.display()
        );
        return path;
    }
    let test = std::env::current_exe().expect("a running test has an executable");
    // <target>/<profile>/deps/e2e-0123456789abcdef
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("a test lies in <target>/<profile>/deps");
    let path = profile.join("agentkernel");
    assert!(
        path.is_file(),
        "there is no {}: build it with `cargo build -p agentkernel-cli`, run the tests with --workspace, or set \
         AGENTKERNEL_BIN",
        path.display()
    );
    path
}

/// A program that can be started at once. Another process copies it: a child that a neighbouring test forks at this
/// moment would inherit our open file, and a program that is open for writing cannot be started.
pub fn copy_program(from: &std::path::Path, to: &std::path::Path) {
    let copied = std::process::Command::new("cp").args([from, to]).status();
    assert!(
        copied.is_ok_and(|status| status.success()),
        "{} can be copied",
        from.display()
    );
}

/// Polls until `condition` holds. Panics with `what` after `bound`.
pub fn wait_until(what: &str, bound: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < bound, "waited {bound:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
