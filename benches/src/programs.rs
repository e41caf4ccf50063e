//! The programs that are compared: ours and bubblewrap.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

/// Our binary with an installation of its own.
pub struct Subject {
    pub program: PathBuf,
    home: TempDir,
}

impl Subject {
    /// `AGENTKERNEL_BIN`, else the release binary beside this one, which is built if it is missing.
    pub fn find() -> Result<Self> {
        let home = tempfile::Builder::new()
            .prefix("akb")
            .tempdir()
            .context("cannot make a temporary folder")?;
        if let Some(program) = std::env::var_os("AGENTKERNEL_BIN") {
            return Ok(Self {
                program: program.into(),
                home,
            });
        }
        let own = std::env::current_exe().context("cannot find the own executable")?;
        let folder = own.parent().context("an executable lies in a folder")?;
        ensure!(
            folder.ends_with("release"),
            "measure release binaries only: cargo run --release -p agentkernel-benches"
        );
        // Built even if it is there: an old binary would be measured silently.
        if let Some(cargo) = std::env::var_os("CARGO") {
            let status = Command::new(cargo)
                .args(["build", "--release", "-p", "agentkernel-cli"])
                .status()?;
            ensure!(status.success(), "cannot build agentkernel");
        }
        let program = folder.join("agentkernel");
        ensure!(
            program.is_file(),
            "there is no {}: cargo build --release -p agentkernel-cli",
            program.display()
        );
        Ok(Self { program, home })
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments);
        self.quiet(&mut command);
        command
    }

    /// The same environment and streams for both sides.
    pub fn quiet(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.home.path())
            .env("AGENTKERNEL_HOME", self.home.path().join("state"))
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
    }

    pub fn call(&self, arguments: &[&str]) -> Result<()> {
        expect_success(&mut self.command(arguments))
    }
}

impl Subject {
    /// Where the state of the installation lies.
    pub fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// Lets it speak plain HTTP with this registry.
    pub fn trust(&self, host: &str) -> Result<()> {
        let folder = self.state().join("config");
        fs::create_dir_all(&folder)?;
        let settings = format!("[registries.\"{host}\"]\ninsecure = true\n");
        fs::write(folder.join("config.toml"), settings).context("cannot write the settings")
    }

    /// Empties the store of images.
    pub fn forget_images(&self) -> Result<()> {
        let folder = self.state().join("data/images");
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        fs::create_dir_all(self.state()).context("cannot make the state folder")
    }
}

/// Writes everything of this file system to the disk: work is done when its files would survive.
pub fn to_disk(folder: &Path) -> Result<()> {
    let folder = fs::File::open(folder).with_context(|| format!("cannot open {}", folder.display()))?;
    rustix::fs::syncfs(folder).context("cannot write the file system to the disk")
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.command(&["remove", "-f", KEPT]).status();
        let _ = self.command(&["gc"]).status();
    }
}

/// The name of the kept sandbox of these benchmarks.
pub const KEPT: &str = "benchmark";

pub fn expect_success(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {command:?}"))?;
    ensure!(
        status.success(),
        "{command:?} ended with {status}; run it by hand to see why"
    );
    Ok(())
}

/// A finished command's stdout, or an error after `bound`: a dead container engine may never answer.
pub fn answer(command: &mut Command, bound: Duration) -> Result<String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > bound {
            child.kill()?;
            child.wait()?;
            bail!("no answer within {bound:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The profiles that bubblewrap can be asked to resemble.
#[derive(Clone, Copy, Debug)]
pub enum Profile {
    Moderate,
    Restrictive,
}

impl Profile {
    pub const ALL: [Self; 2] = [Self::Moderate, Self::Restrictive];

    pub fn name(self) -> &'static str {
        match self {
            Self::Moderate => "moderate",
            Self::Restrictive => "restrictive",
        }
    }
}

/// bubblewrap with the same namespaces, root and capabilities. It has neither our seccomp filter nor landlock,
/// an empty network where ours has a gateway, and no agent that serves further commands: what is compared is what it can do of ours.
pub fn bubblewrap(profile: Profile, command: &[&str]) -> Option<Command> {
    let mut bubblewrap = isolated()?;
    bubblewrap.args(["--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc"]);
    for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        let path = Path::new("/").join(name);
        match fs::read_link(&path) {
            Ok(target) => drop(bubblewrap.arg("--symlink").arg(target).arg(&path)),
            Err(_) if path.is_dir() => drop(bubblewrap.arg("--ro-bind").arg(&path).arg(&path)),
            Err(_) => {}
        }
    }
    bubblewrap.args([
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",
        "--dir",
        "/home/sandbox",
    ]);
    if matches!(profile, Profile::Restrictive) {
        bubblewrap.args(["--remount-ro", "/"]);
    }
    bubblewrap.args(["--chdir", "/home/sandbox", "--"]).args(command);
    Some(bubblewrap)
}

/// The same, with all files of another root.
pub fn bubblewrap_on(root: &Path, profile: Profile, command: &[&str]) -> Option<Command> {
    let mut bubblewrap = isolated()?;
    let bind = match profile {
        Profile::Moderate => "--bind",
        Profile::Restrictive => "--ro-bind",
    };
    bubblewrap.arg(bind).arg(root).arg("/");
    bubblewrap.args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--"]);
    bubblewrap.args(command);
    Some(bubblewrap)
}

fn isolated() -> Option<Command> {
    let mut bubblewrap = Command::new(in_path("bwrap")?);
    bubblewrap.args([
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
        "--clearenv",
    ]);
    bubblewrap.args(["--setenv", "PATH", "/usr/bin:/bin", "--hostname", "sandbox"]);
    Some(bubblewrap)
}

pub fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}
