//! The stage of one case: it makes sandboxes, runs programs in them and cleans up behind the case.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use agentkernel_backend::{Backend, Context, Error, Process, Sandbox, Workspace};
use agentkernel_types::{ErrorKind, ExecSpec, Exit, Lifetime, SandboxSpec};
use tokio::time::Instant;

use crate::{Harness, Program};

/// Why a case failed, as a sentence.
#[derive(Debug)]
pub struct Failure(pub String);

pub type Verdict<T = ()> = Result<T, Failure>;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(format!(
            "{} failed ({}): {error}",
            error.operation(),
            error.kind().as_str()
        ))
    }
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self(why)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(format!("the host: {error}"))
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Outcome {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub exit: Exit,
}

impl Outcome {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

pub struct Scene {
    pub(crate) harness: Arc<dyn Harness>,
    pub(crate) cx: Context,
    made: Mutex<Vec<Arc<dyn Sandbox>>>,
    folders: Mutex<Vec<PathBuf>>,
}

impl Scene {
    /// Long enough for a slow backend, short enough for a hanging one to be named.
    pub const LIMIT: Duration = Duration::from_secs(60);
    const KEEP: usize = 64 << 20;

    pub fn new(harness: Arc<dyn Harness>) -> Self {
        Self {
            harness,
            cx: Context::within(Self::LIMIT),
            made: Mutex::default(),
            folders: Mutex::default(),
        }
    }

    pub fn backend(&self) -> Arc<dyn Backend> {
        self.harness.backend()
    }

    pub fn ephemeral(&self) -> SandboxSpec {
        self.harness.spec(Lifetime::Ephemeral)
    }

    pub fn kept(&self) -> SandboxSpec {
        self.harness.spec(Lifetime::Kept)
    }

    pub fn workspace(&self, lifetime: Lifetime) -> Workspace {
        let workspace = self.harness.workspace(lifetime);
        if let Workspace::Folder(folder) = &workspace {
            self.folders
                .lock()
                .expect("no holder panics")
                .push(folder.clone());
        }
        workspace
    }

    pub fn host_folder(&self) -> PathBuf {
        let folder = self.harness.host_folder();
        self.folders
            .lock()
            .expect("no holder panics")
            .push(folder.clone());
        folder
    }

    /// Makes a stopped sandbox, which is destroyed after the case.
    pub async fn create(&self, spec: &SandboxSpec) -> Verdict<(Arc<dyn Sandbox>, Workspace)> {
        let workspace = self.workspace(spec.lifetime);
        let sandbox = self.backend().create(&self.cx, spec, &workspace).await?;
        self.made.lock().expect("no holder panics").push(sandbox.clone());
        Ok((sandbox, workspace))
    }

    /// Makes a sandbox and starts it.
    pub async fn start(&self, spec: &SandboxSpec) -> Verdict<Arc<dyn Sandbox>> {
        let (sandbox, _) = self.create(spec).await?;
        sandbox.start(&self.cx).await?;
        Ok(sandbox)
    }

    /// A running ephemeral sandbox.
    pub async fn running(&self) -> Verdict<Arc<dyn Sandbox>> {
        self.start(&self.ephemeral()).await
    }

    /// Lets go of a sandbox without destroying it.
    pub fn forget(&self, sandbox: Arc<dyn Sandbox>) {
        self.made
            .lock()
            .expect("no holder panics")
            .retain(|made| made.id() != sandbox.id());
    }

    pub fn exec_spec(&self, program: &Program) -> ExecSpec {
        ExecSpec::new(self.harness.command(program))
    }

    pub async fn exec(&self, sandbox: &Arc<dyn Sandbox>, program: &Program) -> Verdict<Process> {
        Ok(sandbox.exec(&self.cx, self.exec_spec(program)).await?)
    }

    /// Runs a program to its end.
    pub async fn outcome(&self, sandbox: &Arc<dyn Sandbox>, program: &Program) -> Verdict<Outcome> {
        self.outcome_of(sandbox, self.exec_spec(program)).await
    }

    pub async fn outcome_of(&self, sandbox: &Arc<dyn Sandbox>, spec: ExecSpec) -> Verdict<Outcome> {
        collect(sandbox.exec(&self.cx, spec).await?).await
    }

    pub(crate) async fn clean(self) -> Verdict {
        let made = std::mem::take(&mut *self.made.lock().expect("no holder panics"));
        // The case's own deadline may be what failed.
        let cx = Context::within(Duration::from_secs(20));
        let mut verdict = Ok(());
        for sandbox in made {
            if let Err(error) = sandbox.destroy(&cx).await {
                verdict = Err(Failure(format!("cleaning up: {}", Failure::from(error))));
            }
        }
        for folder in self.folders.lock().expect("no holder panics").drain(..) {
            // Already gone, or full of files of another user: the harness's own folder goes later.
            let _ = std::fs::remove_dir_all(folder);
        }
        verdict
    }
}

pub(crate) async fn collect(process: Process) -> Verdict<Outcome> {
    let (stdout, stderr, exit) = process.collect(Scene::KEEP).await?;
    Ok(Outcome { stdout, stderr, exit })
}

pub(crate) fn check(holds: bool, otherwise: impl Into<String>) -> Verdict {
    if holds {
        Ok(())
    } else {
        Err(Failure(otherwise.into()))
    }
}

pub(crate) fn equal<T: PartialEq + fmt::Debug>(found: T, expected: T, what: &str) -> Verdict {
    if found == expected {
        return Ok(());
    }
    let shorten = |value: &T| format!("{value:?}").chars().take(300).collect::<String>();
    Err(Failure(format!(
        "{what}: expected {}, found {}",
        shorten(&expected),
        shorten(&found)
    )))
}

pub(crate) fn refused<T>(result: Result<T, Error>, kind: ErrorKind, what: &str) -> Verdict {
    match result {
        Ok(_) => Err(Failure(format!(
            "{what} was accepted instead of refused as {}",
            kind.as_str()
        ))),
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(Failure(format!(
            "{what} was refused as {} instead of {}: {error}",
            error.kind().as_str(),
            kind.as_str()
        ))),
    }
}

/// Asks until the answer is yes, for at most ten seconds.
pub(crate) async fn until(what: &str, mut ask: impl AsyncFnMut() -> Verdict<bool>) -> Verdict {
    let end = Instant::now() + Duration::from_secs(10);
    while !ask().await? {
        check(
            Instant::now() < end,
            format!("within 10 s it did not happen that {what}"),
        )?;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}
