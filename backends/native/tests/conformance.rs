//! The native backend against the suite that every backend passes: as root or not, as the tests run.

use std::{
    os::unix::fs::PermissionsExt,
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
