//! An installation of its own for one test.

use std::{
    cell::RefCell,
    ffi::OsStr,
    fs,
    io::Write,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use super::{Outcome, binary, wait_for};

/// The net below every command: nothing here takes more than a few seconds on a healthy host.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// All state of one installation, below one temporary folder; its sandboxes are removed with it.
pub struct Home {
    folder: TempDir,
    program: PathBuf,
    /// Set: every command runs as this user and group.
    user: Option<u32>,
    /// Whether images may be fetched. Otherwise a test that forgets to say `--image` asks nobody.
    pulls: bool,
    kept: RefCell<Vec<String>>,
}

impl Home {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("ak")
            .tempdir()
            .expect("a temporary folder can be made");
        for name in ["state", "user", "project"] {
            fs::create_dir(folder.path().join(name)).expect("a folder can be made");
        }
        Self {
            folder,
            program: binary(),
            user: None,
            pulls: false,
            kept: RefCell::default(),
        }
    }

    /// An installation of an unprivileged user. None if this process may not become one.
    pub fn rootless() -> Option<Self> {
        const USER: u32 = 54_321;
        if !rustix::process::getuid().is_root() {
            return None;
        }
        let mut home = Self::new();
        // The build folder may lie where others cannot look.
        let program = home.folder.path().join("agentkernel");
        super::copy_program(&home.program, &program);
        fs::set_permissions(home.folder.path(), fs::Permissions::from_mode(0o755)).expect("own folder");
        for name in ["", "state", "user", "project", "agentkernel"] {
            let path = home.folder.path().join(name);
            std::os::unix::fs::chown(&path, Some(USER), Some(USER)).expect("root can give files away");
        }
        (home.program, home.user) = (program, Some(USER));
        Some(home)
    }

    /// Images may be fetched from loopback. The rest of the world is behind a proxy that does not exist.
    pub fn that_pulls(mut self) -> Self {
        self.pulls = true;
        self
    }

    /// Where the state of agentkernel lies.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The home folder of the person.
    pub fn user_home(&self) -> PathBuf {
        self.folder.path().join("user")
    }

    /// The folder in which every command is started.
    pub fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    /// Everything: state, home and project.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file below the project's folder.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.project().join(name);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder can be made");
        fs::write(&path, content).expect("a file can be written");
        self.give(&path);
        path
    }

    /// Writes the person's own settings, which may allow what a project's file may not.
    pub fn write_user_settings(&self, content: &str) {
        let folder = self.state().join("config");
        fs::create_dir_all(&folder).expect("a folder can be made");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("own folder");
        let file = folder.join("config.toml");
        fs::write(&file, content).expect("a file can be written");
        for path in [&folder, &file] {
            self.give(path);
        }
    }

    /// Writes a file below the person's home folder.
    pub fn write_at_home(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.user_home().join(name);
        let folder = path.parent().expect("a file has a folder");
        fs::create_dir_all(folder).expect("a folder can be made");
        fs::write(&path, content).expect("a file can be written");
        self.give(folder);
        self.give(&path);
        path
    }

    /// Makes the person of this installation the owner.
    pub fn give(&self, path: &Path) {
        if let Some(user) = self.user {
            std::os::unix::fs::chown(path, Some(user), Some(user)).expect("root can give files away");
        }
    }

    /// `agentkernel ARGS` with a known environment, without stdin, both outputs piped.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments);
        self.prepare(&mut command);
        command
    }

    /// Gives any command this installation's environment.
    pub fn prepare(&self, command: &mut Command) {
        command
            .env_clear()
            .env("AGENTKERNEL_HOME", self.state())
            .env("HOME", self.user_home())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm")
            .current_dir(self.project())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        match self.pulls {
            // Port 9 is for discarding what is sent, which nobody serves any more.
            true => command
                .env("HTTPS_PROXY", "http://127.0.0.1:9")
                .env("NO_PROXY", "127.0.0.1"),
            false => command.env("AGENTKERNEL_PULL", "never"),
        };
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
    }

    /// Whether every command runs as another user than this process.
    pub fn is_rootless(&self) -> bool {
        self.user.is_some()
    }

    pub fn program(&self) -> &Path {
        &self.program
    }

    #[track_caller]
    pub fn spawn<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Child {
        self.command(arguments)
            .spawn()
            .expect("the binary can be started")
    }

    /// Runs to the end.
    #[track_caller]
    pub fn call<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Outcome {
        wait_for(self.spawn(arguments), PATIENCE)
    }

    /// Runs to the end with this on stdin.
    #[track_caller]
    pub fn call_with_input<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Outcome {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .expect("the binary can be started");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let input = input.to_vec();
        // A command that does not read all of it is no failure of the test by itself.
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let outcome = wait_for(child, PATIENCE);
        drop(writer.join().expect("a writer does not panic"));
        outcome
    }

    /// `run --image host FLAGS -- COMMAND`: the image is explicit, so stderr holds nothing of ours.
    #[track_caller]
    pub fn run(&self, flags: &[&str], command: &[&str]) -> Outcome {
        self.call([&["run", "--image", "host"], flags, &["--"], command].concat())
    }

    /// Makes a kept sandbox from the host image; it is removed at the end of the test.
    #[track_caller]
    pub fn create(&self, name: &str, flags: &[&str]) -> Outcome {
        self.remember(name);
        self.call([&["create", name, "--image", "host"], flags].concat())
            .success()
    }

    /// Removes the sandbox at the end of the test, however it came to be.
    pub fn remember(&self, name: &str) {
        self.kept.borrow_mut().push(name.to_owned());
    }

    #[track_caller]
    pub fn exec(&self, name: &str, command: &[&str]) -> Outcome {
        self.call([&["exec", name, "--"], command].concat())
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Best effort, without a panic: the test's own failure is what counts.
        for name in self.kept.get_mut().drain(..).collect::<Vec<_>>() {
            let _ = self
                .command(["remove", "-f", &name])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
        let _ = self
            .command(["gc"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}
