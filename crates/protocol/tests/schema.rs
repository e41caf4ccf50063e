//! The bytes of generation 1, frozen: one value of each message.
//!
//! A difference means that a peer of another version would misread it: give the messages a new generation and a
//! schema file of its own. `AGENTKERNEL_FREEZE=1` writes the file of the present generation anew.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{collections::BTreeMap, fmt::Write, path::PathBuf};

use agentkernel_protocol::{
    Boot, ByteBuf, DirectoryEntry, EntryKind, ExecRequest, ExitReport, FailureKind, FileRequest, GENERATION,
    Hello, MAGIC, StatsReport, ToGuest, ToHost, encode,
};
use serde::Serialize;

type Schema = BTreeMap<String, String>;

/// Adds the frame and gives the number of its variant: the first byte after the header.
fn freeze<M: Serialize>(schema: &mut Schema, name: &str, message: &M) -> u8 {
    let mut bytes = Vec::new();
    encode(0x0102_0304, message, &mut bytes).unwrap();
    let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    assert!(
        schema.insert(name.to_owned(), hex).is_none(),
        "{name} is there twice"
    );
    bytes[8]
}

fn bytes(text: &str) -> ByteBuf {
    text.as_bytes().to_vec().into()
}

fn hello() -> Hello {
    Hello {
        magic: MAGIC,
        oldest: 1,
        newest: 1,
        software: "agentkernel 0.1.0".to_owned(),
    }
}

fn to_guest() -> Vec<(&'static str, ToGuest)> {
    let exec = ExecRequest {
        argv: vec![bytes("echo"), bytes("a b")],
        env: vec![bytes("A=1")],
        workdir: bytes("/tmp"),
        terminal: Some((24, 80)),
        piped_stdin: true,
        detach: Some("00c0ffee".to_owned()),
    };
    let boot = Boot {
        env: vec![bytes("PATH=/bin")],
        workdir: bytes("/"),
        tied_to_owner: true,
        listen: false,
        keep_logs: true,
    };
    vec![
        ("hello", ToGuest::Hello(hello())),
        ("boot", ToGuest::Boot(boot)),
        ("exec", ToGuest::Exec(exec)),
        ("stdin", ToGuest::Stdin(bytes("in"))),
        ("close_stdin", ToGuest::CloseStdin),
        ("signal", ToGuest::Signal(15)),
        (
            "resize",
            ToGuest::Resize {
                rows: 24,
                columns: 300,
            },
        ),
        ("output_credit", ToGuest::OutputCredit(65_536)),
        ("cancel", ToGuest::Cancel),
        (
            "file_read",
            ToGuest::File(FileRequest::Read { path: bytes("/a") }),
        ),
        (
            "file_write",
            ToGuest::File(FileRequest::Write {
                path: bytes("/a"),
                mode: 0o644,
                modified: Some(-1),
            }),
        ),
        (
            "file_list",
            ToGuest::File(FileRequest::List { path: bytes("/a") }),
        ),
        (
            "file_stat",
            ToGuest::File(FileRequest::Stat { path: bytes("/a") }),
        ),
        (
            "file_mkdir",
            ToGuest::File(FileRequest::Mkdir {
                path: bytes("/a"),
                mode: 0o755,
            }),
        ),
        (
            "file_symlink",
            ToGuest::File(FileRequest::Symlink {
                path: bytes("/a"),
                target: bytes("b"),
            }),
        ),
        (
            "file_remove",
            ToGuest::File(FileRequest::Remove {
                path: bytes("/a"),
                recursive: true,
            }),
        ),
        (
            "file_rename",
            ToGuest::File(FileRequest::Rename {
                from: bytes("/a"),
                to: bytes("/b"),
            }),
        ),
        ("file_data", ToGuest::FileData(bytes("content"))),
        ("file_end", ToGuest::FileEnd),
        ("stats", ToGuest::Stats),
        ("kill_detached", ToGuest::KillDetached("00c0ffee".to_owned())),
        ("list_detached", ToGuest::ListDetached),
        ("shutdown", ToGuest::Shutdown { grace_ms: 10_000 }),
        ("ping", ToGuest::Ping),
    ]
}

fn to_host() -> Vec<(&'static str, ToHost)> {
    let entry = DirectoryEntry {
        name: bytes("link"),
        kind: EntryKind::Symlink,
        mode: 0o777,
        size: 6,
        modified: 1_700_000_000,
        link_target: bytes("target"),
    };
    vec![
        ("hello", ToHost::Hello(hello())),
        ("booted", ToHost::Booted),
        ("started", ToHost::Started { pid: 7 }),
        ("stdout", ToHost::Stdout(bytes("out"))),
        ("stderr", ToHost::Stderr(bytes("err"))),
        ("stdin_credit", ToHost::StdinCredit(65_536)),
        ("stopped", ToHost::Stopped),
        ("exited_code", ToHost::Exited(ExitReport::Code(3))),
        ("exited_signal", ToHost::Exited(ExitReport::Signal(9))),
        (
            "failed",
            ToHost::Failed {
                kind: FailureKind::Broken,
                message: "why".to_owned(),
            },
        ),
        ("file_data", ToHost::FileData(bytes("content"))),
        ("entries", ToHost::Entries(vec![entry.clone()])),
        ("entry", ToHost::Entry(entry)),
        ("done", ToHost::Done),
        (
            "stats",
            ToHost::Stats(StatsReport {
                processes: 3,
                streams: 2,
                uptime_ms: 1 << 40,
            }),
        ),
        ("detached", ToHost::Detached(vec!["00c0ffee".to_owned()])),
        ("pong", ToHost::Pong),
        ("stopping", ToHost::Stopping),
    ]
}

#[test]
fn the_bytes_of_this_generation_have_not_changed() {
    let mut schema = Schema::new();
    let mut guest: Vec<u8> = to_guest()
        .iter()
        .map(|(name, message)| freeze(&mut schema, &format!("to_guest.{name}"), message))
        .collect();
    let mut host: Vec<u8> = to_host()
        .iter()
        .map(|(name, message)| freeze(&mut schema, &format!("to_host.{name}"), message))
        .collect();
    guest.dedup();
    host.dedup();
    assert!(
        guest.into_iter().eq(0..17) && host.into_iter().eq(0..17),
        "a variant has no frozen value"
    );
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("schema/gen-{GENERATION}.json"));
    if std::env::var_os("AGENTKERNEL_FREEZE").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&schema).unwrap() + "\n").unwrap();
    }
    let frozen: Schema = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(
        schema, frozen,
        "the encoding has changed: it needs a new generation"
    );
}

/// Whoever adds a variant meets this function: it needs a value above, and a new generation.
#[expect(dead_code, reason = "it only has to compile")]
fn every_variant_is_known(guest: &ToGuest, host: &ToHost) {
    match guest {
        ToGuest::Hello(_) | ToGuest::Boot(_) | ToGuest::Exec(_) | ToGuest::Stdin(_) | ToGuest::CloseStdin => {
        }
        ToGuest::Signal(_) | ToGuest::Resize { .. } | ToGuest::OutputCredit(_) | ToGuest::Cancel => {}
        ToGuest::File(_) | ToGuest::FileData(_) | ToGuest::FileEnd | ToGuest::Stats | ToGuest::Ping => {}
        ToGuest::KillDetached(_) | ToGuest::ListDetached | ToGuest::Shutdown { .. } => {}
    }
    match host {
        ToHost::Hello(_)
        | ToHost::Booted
        | ToHost::Started { .. }
        | ToHost::Stdout(_)
        | ToHost::Stderr(_) => {}
        ToHost::StdinCredit(_) | ToHost::Stopped | ToHost::Exited(_) | ToHost::Failed { .. } => {}
        ToHost::FileData(_) | ToHost::Entries(_) | ToHost::Entry(_) | ToHost::Done | ToHost::Stats(_) => {}
        ToHost::Detached(_) | ToHost::Pong | ToHost::Stopping => {}
    }
}
