//! The way out of a sandbox, by policy and by name: real sandboxes in a small internet of the test's own.

mod edits;
mod exfiltration;
mod modes;
mod ports;
mod survival;

use agentkernel_tests::{
    cli::{Home, Outcome},
    internet::{Internet, NAME_SERVER},
};

/// An installation in a world. The world first: whatever is started later is in it.
pub struct Place {
    pub home: Home,
    pub internet: Internet,
}

impl Place {
    pub fn new() -> Option<Self> {
        Some(Self {
            internet: Internet::enter()?,
            home: Home::new(),
        })
    }

    pub fn rootless() -> Option<Self> {
        Some(Self {
            internet: Internet::enter()?,
            home: Home::rootless()?,
        })
    }

    #[track_caller]
    pub fn run(&self, flags: &[&str], command: &[&str]) -> Outcome {
        self.home.run(&with_names(flags), command)
    }

    #[track_caller]
    pub fn create(&self, name: &str, flags: &[&str]) {
        self.home.create(name, &with_names(flags));
    }
}

/// Who has no names of its own to look up is not told of a name server.
fn with_names<'a>(flags: &[&'a str]) -> Vec<&'a str> {
    let without = flags
        .iter()
        .any(|flag| ["none", "host", "restrictive"].contains(flag));
    let names: &[&str] = if without { &[] } else { &["--dns", NAME_SERVER] };
    [names, flags].concat()
}

/// Prints what a server says, or why it was not reached; exits with 7 then.
pub const FETCH: &str = r#"
import sys, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode(), end="")
except Exception as error:
    print("not reached:", error)
    sys.exit(7)
"#;

pub fn fetch(url: &str) -> [&str; 4] {
    ["python3", "-c", FETCH, url]
}
