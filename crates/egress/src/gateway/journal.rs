//! What happened, kept: the last of it in memory, or all of it in a file of bounded size.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use agentkernel_types::{NetworkEvent, NetworkEventKind};

/// Events of a sandbox that leaves nothing behind.
const IN_MEMORY: usize = 4096;
/// Bytes of a file before it becomes the older one; there are two.
const FILE_SIZE: u64 = 4 << 20;

#[derive(Debug)]
pub enum Journal {
    Memory(VecDeque<NetworkEvent>),
    File { path: PathBuf, file: File, size: u64 },
}

impl Journal {
    pub fn in_memory() -> Self {
        Self::Memory(VecDeque::new())
    }

    /// Goes on with the file, which is made if it is not there.
    pub fn in_file(path: &Path) -> io::Result<Self> {
        let file = append_to(path)?;
        Ok(Self::File {
            path: path.to_owned(),
            size: file.metadata()?.len(),
            file,
        })
    }

    pub(super) fn write(&mut self, event: NetworkEvent) {
        match self {
            Self::Memory(events) => {
                if events.len() == IN_MEMORY {
                    forget_one(events);
                }
                events.push_back(event);
            }
            Self::File { path, file, size } => {
                if *size > FILE_SIZE
                    && let Ok(()) = std::fs::rename(&*path, older(path))
                    && let Ok(new) = append_to(path)
                {
                    (*file, *size) = (new, 0);
                }
                let mut line = serde_json::to_vec(&event).expect("events are plain data");
                line.push(b'\n');
                // A full disk costs events, not the sandbox's network.
                if file.write_all(&line).is_ok() {
                    *size += line.len() as u64;
                }
            }
        }
    }

    pub(super) fn last(&self, most: usize) -> io::Result<Vec<NetworkEvent>> {
        match self {
            Self::Memory(events) => {
                let from = events.len().saturating_sub(most);
                Ok(events.iter().skip(from).cloned().collect())
            }
            Self::File { path, .. } => read(path, most),
        }
    }
}

/// A flow before a denial: who reads this asks for denials.
fn forget_one(events: &mut VecDeque<NetworkEvent>) {
    let flow = events.iter().position(|event| {
        matches!(
            event.kind,
            NetworkEventKind::Opened(_) | NetworkEventKind::Closed { .. }
        )
    });
    match flow {
        Some(at) => drop(events.remove(at)),
        None => drop(events.pop_front()),
    }
}

/// The last events of a file, the oldest first. None if there is no file.
pub fn read(path: &Path, most: usize) -> io::Result<Vec<NetworkEvent>> {
    let mut last = VecDeque::new();
    for path in [older(path), path.to_owned()] {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for line in BufReader::new(file).split(b'\n') {
            // Half a line is what a crash in the middle of writing leaves.
            if let Ok(event) = serde_json::from_slice(&line?) {
                last.push_back(event);
                if last.len() > most {
                    last.pop_front();
                }
            }
        }
    }
    Ok(last.into())
}

fn older(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use agentkernel_types::Protocol;

    use super::*;

    fn event(number: u64) -> NetworkEvent {
        NetworkEvent {
            at_ms: number,
            kind: NetworkEventKind::Lost { events: number },
        }
    }

    #[test]
    fn a_file_keeps_what_earlier_starts_wrote_and_survives_half_a_line() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("network.jsonl");
        assert_eq!(read(&path, 10).expect("an absent file is empty"), []);
        for number in 0..3 {
            let mut journal = Journal::in_file(&path).expect("it can be opened");
            journal.write(event(number));
        }
        let mut file = append_to(&path).expect("it can be opened");
        file.write_all(b"{\"at_ms\": 1, \"ev").expect("it can be written");
        assert_eq!(
            read(&path, 10).expect("it can be read"),
            [event(0), event(1), event(2)]
        );
        assert_eq!(read(&path, 2).expect("it can be read"), [event(1), event(2)]);
    }

    #[test]
    fn a_file_stays_bounded_and_keeps_the_newest() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("network.jsonl");
        let mut journal = Journal::in_file(&path).expect("it can be opened");
        let lines = 3 * FILE_SIZE / 30;
        for number in 0..lines {
            journal.write(event(number));
        }
        let size = |path: &Path| std::fs::metadata(path).expect("it is there").len();
        assert!(size(&path) + size(&older(&path)) < 2 * FILE_SIZE + 1000);
        let last = journal.last(100).expect("it can be read");
        assert_eq!((last.len(), last.last()), (100, Some(&event(lines - 1))));
    }

    #[test]
    fn memory_forgets_flows_before_denials() {
        let mut journal = Journal::in_memory();
        let closed = NetworkEvent {
            at_ms: 0,
            kind: NetworkEventKind::Unpublished {
                address: "127.0.0.1:1".parse().expect("an address"),
                protocol: Protocol::Tcp,
            },
        };
        journal.write(closed.clone());
        let flow: NetworkEvent = serde_json::from_str(
            r#"{"at_ms":1,"event":"opened","flow":1,"direction":"leaving","protocol":"tcp",
                "inside":"192.0.0.2:1","outside":"192.0.2.1:443","rule":"mode open"}"#,
        )
        .expect("an event");
        for _ in 0..IN_MEMORY {
            journal.write(flow.clone());
        }
        let kept = journal.last(usize::MAX).expect("it is in memory");
        assert_eq!((kept.len(), kept.first()), (IN_MEMORY, Some(&closed)));
    }
}
