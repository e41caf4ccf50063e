//! How a command ended, and what can be asked of it.

use std::{
    io::Read,
    process::{Child, ExitStatus},
    thread,
    time::Duration,
};

use serde_json::Value;

use super::wait_until;

/// A finished command. Every question answers with the outcome itself, so that questions can be chained.
#[derive(Debug)]
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Outcome {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.status.code(),
            Some(code),
            "{}\nstdout: {}\nstderr: {}",
            self.status,
            self.text(),
            self.errors()
        );
        self
    }

    #[track_caller]
    pub fn success(self) -> Self {
        self.expect_code(0)
    }

    #[track_caller]
    pub fn expect_text(self, text: &str) -> Self {
        assert_eq!(self.text(), text, "stderr: {}", self.errors());
        self
    }

    /// Ours, and it names what is wrong: 125, whatever the verb.
    #[track_caller]
    pub fn refused(self, name: &str) -> Self {
        let outcome = self.expect_code(125);
        let errors = outcome.errors();
        assert!(
            errors.contains(name),
            "the refusal does not name {name:?}: {errors}"
        );
        assert!(!errors.contains("panicked"), "a panic is no refusal: {errors}");
        outcome
    }

    /// The JSON document on stdout; every one carries a `schema_version`.
    #[track_caller]
    pub fn json(&self) -> Value {
        let value: Value = serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}\nstderr: {}", self.text(), self.errors()));
        assert!(value["schema_version"].is_u64(), "no schema_version: {value}");
        value
    }
}

/// Waits for a child with both outputs read at once. After `bound` it is killed and the test fails.
#[track_caller]
pub fn wait_for(mut child: Child, bound: Duration) -> Outcome {
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let start = std::time::Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        if start.elapsed() > bound {
            child.kill().expect("a child can be killed");
            child.wait().expect("a killed child can be waited for");
            panic!("the command did not end within {bound:?}");
        }
        thread::sleep(Duration::from_millis(1));
    };
    // The pipes end with the last process that holds them: one that outlives its run would block here for ever.
    wait_until(
        "the outputs end with the command",
        Duration::from_secs(20),
        || stdout.is_finished() && stderr.is_finished(),
    );
    let read = |reader: thread::JoinHandle<Vec<u8>>| reader.join().expect("a reader does not panic");
    Outcome {
        status,
        stdout: read(stdout),
        stderr: read(stderr),
    }
}

fn drain(source: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut source) = source {
            source.read_to_end(&mut bytes).expect("a pipe can be read");
        }
        bytes
    })
}

/// The first value under `key`, wherever it is in the document.
pub fn find<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map
            .get(key)
            .or_else(|| map.values().find_map(|inner| find(inner, key))),
        Value::Array(items) => items.iter().find_map(|inner| find(inner, key)),
        _ => None,
    }
}

/// Whether some string in the document is exactly this.
pub fn mentions(value: &Value, text: &str) -> bool {
    match value {
        Value::Object(map) => map.values().any(|inner| mentions(inner, text)),
        Value::Array(items) => items.iter().any(|inner| mentions(inner, text)),
        Value::String(found) => found == text,
        _ => false,
    }
}
