//! The native backend against the suite that every backend passes: as root or not, as the tests run.

use std::{
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use agentkernel_backend::{Backend, Result, Settings, Workspace};
use agentkernel_conformance::Harness;
use agentkernel_types::{
    ImageRef, Lifetime, NetworkMode, Profile, Resources, RootAccess, SandboxId, SandboxSpec, UserSpec,
};
use async_trait::async_trait;

struct Native {
    folder: tempfile::TempDir,
    backend: Arc<dyn Backend>,
    number: AtomicU64,
}

impl Native {
    fn settings(folder: &tempfile::TempDir) -> Settings {
        Settings {
            runtime_dir: folder.path().join("run"),
            cache_dir: folder.path().join("cache"),
            images_dir: folder.path().join("images"),
        }
    }

    async fn connect() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let backend = (agentkernel_native::DESCRIPTOR.connect)(&Self::settings(&folder))
            .await
            .expect("Linux with user namespaces");
        Self {
            folder,
            backend,
            number: AtomicU64::new(u64::from(std::process::id()) << 16),
        }
    }

    fn fresh(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    fn fresh_folder(&self, kind: &str, mode: u32) -> PathBuf {
        let path = self.folder.path().join(format!("{kind}-{}", self.fresh()));
        std::fs::create_dir(&path).expect("a fresh folder");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("our own folder");
        path
    }
}

#[async_trait]
impl Harness for Native {
    fn backend(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.backend)
    }

    async fn reconnect(&self) -> Result<Arc<dyn Backend>> {
        (agentkernel_native::DESCRIPTOR.connect)(&Self::settings(&self.folder)).await
    }

    fn spec(&self, lifetime: Lifetime) -> SandboxSpec {
        SandboxSpec {
            id: SandboxId::from_random(self.fresh()),
            name: None,
            lifetime,
            image: ImageRef::Host,
            image_id: None,
            profile: Profile::Moderate,
            root: RootAccess::Writable,
            network: NetworkMode::None,
            mounts: Vec::new(),
            env: Vec::new(),
            workdir: None,
            user: None,
            resources: Resources::default(),
        }
    }

    fn workspace(&self, lifetime: Lifetime) -> Workspace {
        match lifetime {
            Lifetime::Ephemeral => Workspace::None,
            Lifetime::Kept => Workspace::Folder(self.fresh_folder("workspace", 0o700)),
        }
    }

    fn host_folder(&self) -> PathBuf {
        self.fresh_folder("host", 0o777)
    }

    fn other_user(&self) -> (UserSpec, u32) {
        ("root".parse().expect("a user"), 0)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_native_backend_keeps_the_contract() {
    let report = agentkernel_conformance::assert_suite(Arc::new(Native::connect().await)).await;
    println!("{}", report.summary());
}

/// The same suite in a process of an unprivileged user: other ids, other mounts, no groups of its own.
#[test]
fn the_native_backend_keeps_the_contract_without_root() {
    const USER: u32 = 54_321;
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can become somebody else; the other test has run without root");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    // The build folder may lie where others cannot look.
    let program = folder.path().join("conformance");
    std::fs::copy(std::env::current_exe().expect("a test has one"), &program).expect("it can be copied");
    for path in [folder.path(), &program] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("our own");
        std::os::unix::fs::chown(path, Some(USER), Some(USER)).expect("root can give files away");
    }
    let output = std::process::Command::new(&program)
        .args(["--exact", "the_native_backend_keeps_the_contract", "--nocapture"])
        .env("TMPDIR", folder.path())
        .env("HOME", folder.path())
        .env("PATH", "/usr/bin:/bin")
        .current_dir(folder.path())
        .uid(USER)
        .gid(USER)
        .output()
        .expect("it can be started");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "the suite has not run: {text}");
}
