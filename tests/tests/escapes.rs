//! Some hundred ways out of a sandbox, tried from inside in every profile, as root and without.

#![expect(clippy::print_stdout, reason = "the count of attempts is a result")]

use std::{
    collections::BTreeMap,
    fs,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            fs::PermissionsExt as _,
            net::{SocketAddr, UnixListener},
            process::CommandExt as _,
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use agentkernel_tests::cli::{Home, PATIENCE, marker, process_mentions, wait_for, wait_until};
use serde_json::Value;

const PROFILES: [&str; 3] = ["permissive", "moderate", "restrictive"];
const FEWEST: usize = 380;

/// What the host has and a sandbox must not find. All of it holds the same word.
struct Marks {
    word: String,
    process: Child,
    files: Vec<PathBuf>,
    socket: PathBuf,
    _listeners: [UnixListener; 2],
}

impl Marks {
    fn set(home: &Home) -> Self {
        let word = marker();
        let readable = |path: PathBuf| {
            fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder can be made");
            fs::write(&path, &word).expect("a file can be written");
            // Only the sandbox keeps it from being read.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("own file");
            path
        };
        let files = vec![
            readable(home.root().join("host-only")),
            readable(home.user_home().join(".ssh/id_ed25519")),
        ];
        let socket = home.root().join("host.sock");
        let by_path = UnixListener::bind(&socket).expect("a short path");
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).expect("own socket");
        let address = SocketAddr::from_abstract_name(&word).expect("a short name");
        let abstract_one = UnixListener::bind_addr(&address).expect("a free name");
        let process = Command::new("sleep")
            .arg0(&word)
            .arg("300")
            .spawn()
            .expect("sleep is there");
        Self {
            word,
            process,
            files,
            socket,
            _listeners: [by_path, abstract_one],
        }
    }

    fn facts(&self, home: &Home, profile: &str) -> Vec<String> {
        let host_name = fs::read_to_string("/proc/sys/kernel/hostname").expect("procfs is mounted");
        let mut facts = vec![
            format!("profile={profile}"),
            format!("secret={}", self.word),
            format!("abstract={}", self.word),
            format!("pid={}", self.process.id()),
            format!("host-name={}", host_name.trim()),
            format!("state={}", home.state().display()),
            format!("socket={}", self.socket.display()),
            "read-only=/given".to_owned(),
            "pids=64".to_owned(),
        ];
        facts.extend(self.files.iter().map(|file| format!("file={}", file.display())));
        facts
    }
}

impl Drop for Marks {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A folder with the program and a file that everybody may write: only the mount protects it.
fn given(home: &Home) -> PathBuf {
    let folder = home.root().join("given");
    fs::create_dir_all(&folder).expect("a folder can be made");
    let program = folder.join("agentkernel-escape");
    fs::copy(env!("CARGO_BIN_EXE_agentkernel-escape"), &program).expect("it is built");
    fs::write(folder.join("marker"), "the host's").expect("a file can be written");
    for (path, mode) in [
        (folder.clone(), 0o777),
        (program, 0o755),
        (folder.join("marker"), 0o666),
    ] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("own file");
    }
    folder
}

fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("it is there").flatten();
    entries
        .map(|entry| (entry.path(), fs::read(entry.path()).unwrap_or_default()))
        .collect()
}

fn nothing_gets_out(home: &Home, who: &str, profile: &str) {
    let (marks, folder) = (Marks::set(home), given(home));
    let before = content(&folder);
    let mount = format!("{}:/given:ro", folder.display());
    let flags = [
        "run",
        "--image",
        "host",
        "--profile",
        profile,
        "--pids",
        "64",
        "--mount",
        &mount,
    ];
    let command = [
        "-e",
        "AGENTKERNEL_ESCAPE=inside",
        "--",
        "/given/agentkernel-escape",
    ];
    let words = flags
        .into_iter()
        .chain(command)
        .map(str::to_owned)
        .chain(marks.facts(home, profile));
    let mut command = home.command(words);
    command.env("PROBE_SECRET_TOKEN", &marks.word);
    let outcome = wait_for(command.spawn().expect("the binary can be started"), PATIENCE).success();
    let text = outcome.text();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("every line is one attempt"))
        .collect();
    print_table(who, profile, &lines);
    let leaked: Vec<&Value> = lines.iter().filter(|line| line["outcome"] == "leaked").collect();
    assert!(leaked.is_empty(), "{who}, {profile}: {leaked:#?}");
    let blocked = lines.iter().filter(|line| line["outcome"] == "blocked").count();
    assert!(blocked >= FEWEST, "{who}, {profile}: only {blocked} attempts");
    assert!(content(&folder) == before, "the read-only folder has changed");
    // The program's arguments hold the word: a process of the sandbox that is left would show it.
    let own = marks.process.id() as i32;
    wait_until("nothing of the sandbox runs", Duration::from_secs(20), || {
        process_mentions(&marks.word).iter().all(|pid| *pid == own)
    });
}

fn print_table(who: &str, profile: &str, lines: &[Value]) {
    let mut classes: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for line in lines {
        let row = classes.entry(line["class"].as_str().unwrap_or("?")).or_default();
        match line["outcome"].as_str() {
            Some("blocked") => row[0] += 1,
            Some("leaked") => row[1] += 1,
            _ => row[2] += 1,
        }
    }
    println!(
        "{who}, {profile}\n{:<14}{:>10}{:>9}{:>8}{:>9}",
        "class", "attempted", "blocked", "leaked", "skipped"
    );
    let sum = classes.values().fold([0; 3], |sum, row| {
        [sum[0] + row[0], sum[1] + row[1], sum[2] + row[2]]
    });
    for (class, [blocked, leaked, skipped]) in classes.into_iter().chain([("all", sum)]) {
        println!(
            "{class:<14}{:>10}{blocked:>9}{leaked:>8}{skipped:>9}",
            blocked + leaked
        );
    }
}

#[test]
fn nothing_gets_out_of_any_profile() {
    for profile in PROFILES {
        nothing_gets_out(&Home::new(), "this user", profile);
    }
}

#[test]
fn nothing_gets_out_of_any_profile_of_an_ordinary_user() {
    for profile in PROFILES {
        let Some(home) = Home::rootless() else {
            println!("only root can become somebody else; the other test has run as an ordinary user");
            return;
        };
        nothing_gets_out(&home, "rootless", profile);
    }
}

/// Left with one descriptor, the first process could not wait for anything, its owner's end included.
#[test]
fn a_command_cannot_starve_the_first_process_and_outlive_its_owner() {
    let home = Home::new();
    let word = marker();
    let script = format!(
        "import resource, time\n\
         for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_AS, resource.RLIMIT_CPU):\n\
         \x20   try:\n\
         \x20       resource.prlimit(1, limit, (1, 1))\n\
         \x20       print('changed', limit, flush=True)\n\
         \x20   except PermissionError:\n\
         \x20       print('refused', flush=True)\n\
         time.sleep(300) # {word}\n"
    );
    let mut child = home.spawn(["run", "--image", "host", "--", "/usr/bin/python3", "-c", &script]);
    let mut output = std::io::BufReader::new(child.stdout.take().expect("stdout is piped"));
    for _ in 0..4 {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut output, &mut line).expect("stdout can be read");
        assert_eq!(line, "refused\n");
    }
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child can be waited for");
    wait_until("it ends with its owner", Duration::from_secs(20), || {
        process_mentions(&word).is_empty()
    });
}
