//! The only place that prints. Text for people, JSON for programs.
//!
//! Whatever comes from a sandbox, a record or the host is escaped before it reaches a terminal; the
//! streams of a command are the exception: they are the command's own. No colour anywhere, so NO_COLOR
//! needs no case.

mod events;
mod failure;
mod human;
mod images;
mod json;
mod network;
mod printable;
mod progress;
mod settings;

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use agentkernel_control::SandboxInfo;
use agentkernel_types::{ImageRef, NetworkEvent};
use serde::Serialize;

use crate::failure::Failure;

pub use events::EventSink;
pub use human::{detached, doctor, explanation, gc, names, sandboxes, stats};
pub use images::{image_names, images, images_came, images_removed, locked};
pub use json::{Doctor, SCHEMA_VERSION};
use network::refusals;
pub use network::{network_events, policy, port, ports};
pub use progress::Progress;
pub use settings::{settings, settings_json};

/// Prints lines on stdout; a line feed is added at the end if there is none.
pub fn text(text: &str) -> Result<(), Failure> {
    if text.is_empty() {
        return Ok(());
    }
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let mut stdout = io::stdout().lock();
    write!(stdout, "{text}{end}")
        .and_then(|()| stdout.flush())
        .map_err(Failure::output)
}

/// Prints one JSON object, whose first field is the version of its schema.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    text(&json::document(value))
}

/// Prints why there is no success, on stderr, so that stdout stays what the command made it.
pub fn failure(failure: &Failure, json: bool) {
    let text = if json {
        failure::json(failure)
    } else {
        failure::text(failure)
    };
    match failure {
        // Help and version were asked for: they are answers.
        Failure::Usage(error) if !error.use_stderr() => drop(self::text(&text)),
        // Nobody is there to read why nobody can read the reason.
        _ => drop(io::stderr().lock().write_all(text.as_bytes())),
    }
}

/// A kept sandbox: its name for people, everything for programs.
pub fn sandbox(info: &SandboxInfo, json: bool) -> Result<(), Failure> {
    match (json, &info.spec.name) {
        (true, _) => self::json(info),
        (false, Some(name)) => text(name.as_str()),
        (false, None) => text(info.spec.id.as_str()),
    }
}

/// What must not be overlooked when a sandbox was made.
pub fn image_was_chosen(info: &SandboxInfo) {
    if info.spec.image == ImageRef::Host {
        note("the host image is used, since no image was named: this machine's own programs, read-only");
    }
}

/// What a copy has left out.
pub fn skipped(paths: &[PathBuf]) {
    for path in paths {
        note(&format!(
            "left out {}: no file, folder or symbolic link",
            path.display()
        ));
    }
}

/// What the policy refused while a command ran that failed.
pub fn refused(events: &[NetworkEvent]) {
    if let Some(text) = refusals(events) {
        note(&text);
    }
}

fn note(message: &str) {
    // A notice that nobody can read changes nothing.
    let _ = writeln!(io::stderr().lock(), "agentkernel: {}", safe(message));
}

/// A name or message from elsewhere, safe to print.
pub fn safe(text: &str) -> String {
    printable::printable(text)
}
