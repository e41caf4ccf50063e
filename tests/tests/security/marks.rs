//! What the host has and a sandbox must not find.

use std::{
    ffi::CString,
    fs,
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::PermissionsExt,
            net::{SocketAddr, UnixListener},
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::atomic::{AtomicI32, Ordering},
};

use agentkernel_tests::cli::{Home, marker, namespace};

/// The variables that the caller of `run` has.
pub const VARIABLE: &str = "PROBE_MARK";
pub const SECRET_VARIABLE: &str = "PROBE_MARK_TOKEN";

/// Taken away when it is dropped.
pub struct Marks {
    pub word: String,
    process: Child,
    temporary: PathBuf,
    socket: PathBuf,
    abstract_socket: String,
    tcp: TcpListener,
    shared_memory: i32,
    shared_memory_key: i32,
    queue: CString,
    _listeners: [UnixListener; 2],
}

impl Marks {
    pub fn set(home: &Home) -> Self {
        let word = marker();
        let temporary = std::env::temp_dir().join(format!("mark-{word}"));
        let state = home.state().join("mark");
        for path in [&temporary, &home.root().join("mark"), &state] {
            write_for_everyone(path, &word);
        }
        for name in [
            "plain.txt",
            ".ssh/id_ed25519",
            ".aws/credentials",
            ".cargo/credentials.toml",
        ] {
            write_for_everyone(&home.user_home().join(name), &word);
        }
        // A folder of programs beside a file of credentials.
        write_for_everyone(&home.user_home().join(".cargo/bin/tool"), "#!/bin/sh\n");
        let socket = std::env::temp_dir().join(format!("mark-{word}.sock"));
        let listener = UnixListener::bind(&socket).expect("a free path");
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).expect("own socket");
        let abstract_socket = format!("mark-{word}");
        let address = SocketAddr::from_abstract_name(&abstract_socket).expect("a short name");
        let shared_memory_key = free_key();
        let queue = CString::new(format!("/mark-{word}")).expect("no NUL");
        make_queue(&queue);
        Self {
            process: Command::new("sleep").arg(&word).spawn().expect("sleep is there"),
            _listeners: [listener, UnixListener::bind_addr(&address).expect("a free name")],
            tcp: TcpListener::bind("127.0.0.1:0").expect("a free port"),
            shared_memory: make_shared_memory(shared_memory_key),
            shared_memory_key,
            queue,
            temporary,
            socket,
            abstract_socket,
            word,
        }
    }

    /// The arguments by which the self-check learns of all this.
    pub fn arguments(&self, home: &Home) -> Vec<String> {
        let host_name = fs::read_to_string("/proc/sys/kernel/hostname").expect("procfs is there");
        let text = |path: PathBuf| path.display().to_string();
        let in_home = |name: &str| text(home.user_home().join(name));
        let mut arguments = vec![
            ("host-name", host_name.trim().to_owned()),
            ("environment", VARIABLE.to_owned()),
            ("secret-environment", SECRET_VARIABLE.to_owned()),
            ("marker-file", text(self.temporary.clone())),
            ("marker-file", text(home.root().join("mark"))),
            ("marker-file", text(home.state().join("mark"))),
            ("home-marker", in_home("plain.txt")),
            ("credential-marker", in_home(".ssh/id_ed25519")),
            ("credential-marker", in_home(".aws/credentials")),
            ("credential-marker", in_home(".cargo/credentials.toml")),
            ("word", self.word.clone()),
            ("host-pid", self.process.id().to_string()),
            ("abstract-socket", self.abstract_socket.clone()),
            ("unix-socket", text(self.socket.clone())),
            ("tcp", self.tcp.local_addr().expect("a bound socket").to_string()),
            ("shared-memory-key", self.shared_memory_key.to_string()),
            ("message-queue", self.queue.to_string_lossy().into_owned()),
        ];
        for kind in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] {
            arguments.push(("host-namespace", namespace(kind)));
        }
        arguments
            .into_iter()
            .flat_map(|(name, value)| [format!("--{name}"), value])
            .collect()
    }
}

impl Drop for Marks {
    fn drop(&mut self) {
        // Best effort: the test's own failure is what counts.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_file(&self.temporary);
        let _ = fs::remove_file(&self.socket);
        // SAFETY: a segment and a name of ours; no structure is read or written.
        unsafe {
            libc::shmctl(self.shared_memory, libc::IPC_RMID, std::ptr::null_mut());
            libc::mq_unlink(self.queue.as_ptr());
        }
    }
}

/// Only walls protect it: everyone may read it, on the whole way.
pub fn write_for_everyone(path: &Path, content: &str) {
    let folder = path.parent().expect("a file has a folder");
    fs::create_dir_all(folder).expect("a folder can be made");
    fs::write(path, content).expect("a file can be written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("own file");
}

/// A key that no other mark of this process or of another has.
fn free_key() -> i32 {
    static NEXT: AtomicI32 = AtomicI32::new(1);
    let process = i32::try_from(std::process::id()).expect("a process number");
    (process << 7) | NEXT.fetch_add(1, Ordering::Relaxed)
}

fn make_shared_memory(key: i32) -> i32 {
    // SAFETY: numbers only.
    let made = unsafe { libc::shmget(key, 4096, libc::IPC_CREAT | 0o666) };
    assert!(made >= 0, "a segment of shared memory can be made");
    made
}

fn make_queue(name: &CString) {
    let no_attributes = std::ptr::null::<libc::mq_attr>();
    let flags = libc::O_CREAT | libc::O_RDWR | libc::O_CLOEXEC;
    // SAFETY: a name of ours, a mode, and default attributes.
    let made = unsafe { libc::mq_open(name.as_ptr(), flags, 0o666 as libc::mode_t, no_attributes) };
    assert!(made >= 0, "a message queue can be made");
    // SAFETY: just made, and used by nobody. The queue stays until it is unlinked.
    unsafe { libc::mq_close(made) };
}
