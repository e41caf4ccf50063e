//! JSON documents. Every one says which version of its schema it has: fields are added within a
//! version, and never removed or changed.

use agentkernel_control::{Event, EventKind, Output};
use agentkernel_types::Exit;
use serde::Serialize;
use serde_json::{Map, Value, json};

pub const SCHEMA_VERSION: u32 = 1;

/// `doctor` and `setup --check`: the engine's answer, and the two questions that scripts ask of it.
#[derive(Debug, Serialize)]
pub struct Doctor<'a> {
    pub usable: bool,
    #[serde(flatten)]
    pub report: &'a agentkernel_control::Doctor,
}

#[derive(Serialize)]
struct Document<'a, T> {
    schema_version: u32,
    #[serde(flatten)]
    content: &'a T,
}

/// `content` must serialize as an object.
pub fn document(content: &impl Serialize) -> String {
    let document = Document {
        schema_version: SCHEMA_VERSION,
        content,
    };
    serde_json::to_string_pretty(&document).expect("replies are maps with string keys")
}

/// One event of a run, as one line with its line feed.
pub fn event(event: &Event) -> String {
    let (kind, mut fields) = fields(&event.kind);
    let mut line = Map::new();
    line.insert("schema_version".into(), SCHEMA_VERSION.into());
    line.insert("sequence".into(), event.sequence.into());
    line.insert("type".into(), kind.into());
    line.append(&mut fields);
    format!("{}\n", Value::Object(line))
}

fn fields(kind: &EventKind) -> (&'static str, Map<String, Value>) {
    let (kind, value) = match kind {
        EventKind::Started {
            id,
            name,
            backend,
            isolation,
            image,
            network,
        } => (
            "started",
            json!({ "id": id, "name": name, "backend": backend, "isolation": isolation, "image": image,
                    "network": network }),
        ),
        EventKind::Notice(notice) => (
            "notice",
            json!({ "code": notice.code, "message": notice.message }),
        ),
        EventKind::Denied(event) => (
            "denied",
            serde_json::to_value(event).expect("events are plain data"),
        ),
        EventKind::Output(Output::Stdout(bytes)) => ("stdout", data(bytes)),
        EventKind::Output(Output::Stderr(bytes)) => ("stderr", data(bytes)),
        EventKind::Output(Output::Stopped) => ("stopped", json!({})),
        EventKind::Output(Output::Exit(exit)) => ("finished", finished(exit)),
        EventKind::Finished { exit, duration_ms } => {
            let mut value = finished(exit);
            value["duration_ms"] = (*duration_ms).into();
            ("finished", value)
        }
    };
    match value {
        Value::Object(fields) => (kind, fields),
        _ => (kind, Map::new()),
    }
}

/// The code for scripts, and the whole truth beside it.
fn finished(exit: &Exit) -> Value {
    json!({ "exit_code": exit.exit_code(), "exit": exit })
}

/// Text where it is text: most output is, and then people can read the events, too.
fn data(bytes: &[u8]) -> Value {
    match str::from_utf8(bytes) {
        Ok(text) => json!({ "data": text }),
        Err(_) => json!({ "data_base64": base64(bytes) }),
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            match place <= group.len() {
                true => text.push(char::from(ALPHABET[(bits >> (18 - 6 * place)) as usize & 63])),
                false => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use agentkernel_types::ExitCause;

    use super::*;

    fn value(kind: EventKind) -> Value {
        let line = event(&Event { sequence: 7, kind });
        assert!(
            line.ends_with('\n') && line.matches('\n').count() == 1,
            "{line:?}"
        );
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn text_is_text_and_bytes_are_base64() {
        let stdout = value(EventKind::Output(Output::Stdout("a\nü".into())));
        assert_eq!(
            stdout,
            json!({ "schema_version": 1, "sequence": 7, "type": "stdout", "data": "a\nü" })
        );
        let stderr = value(EventKind::Output(Output::Stderr(vec![0xff, 0, 1].into())));
        assert_eq!(
            stderr,
            json!({ "schema_version": 1, "sequence": 7, "type": "stderr", "data_base64": "/wAB" })
        );
    }

    #[test]
    fn the_end_says_the_code_the_signal_and_the_cause() {
        let exit = Exit::signal(9).with_cause(ExitCause::OutOfMemory);
        let finished = value(EventKind::Finished {
            exit,
            duration_ms: 12,
        });
        assert_eq!(finished["exit_code"], 137);
        assert_eq!(
            finished["exit"],
            json!({ "status": { "signal": 9 }, "cause": "out_of_memory" })
        );
        assert_eq!(finished["duration_ms"], 12);
        let exit = Exit::code(3);
        let finished = value(EventKind::Finished { exit, duration_ms: 0 });
        assert_eq!(finished["exit"], json!({ "status": { "code": 3 } }));
    }

    #[test]
    fn base64_is_the_standard_one() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_document_says_its_version() {
        let text = document(&agentkernel_control::GcReport::default());
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["schema_version"], 1);
        assert_eq!(value["removed"], json!([]));
    }
}
