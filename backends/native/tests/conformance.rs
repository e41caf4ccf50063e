//! The native backend against the suite that every backend passes: as root or not, as the tests run.

mod common;

use std::{
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use agentkernel_backend::{Backend, Result, Workspace};
use agentkernel_conformance::{Harness, Program};
use agentkernel_image::ImageConfig;
use agentkernel_types::{
    Command, Digest, ImageRef, Lifetime, NetworkMode, Profile, Resources, RootAccess, SandboxId, SandboxSpec,
    UserSpec,
};
use async_trait::async_trait;

struct Native {
    folder: tempfile::TempDir,
    backend: Arc<dyn Backend>,
    number: AtomicU64,
    /// None: the host image.
    image: Option<Digest>,
}

impl Native {
    async fn connect(image: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let backend = (agentkernel_native::DESCRIPTOR.connect)(&common::settings(folder.path()))
            .await
            .expect("Linux with user namespaces");
        let image = image.then(|| {
            common::image(
                folder.path(),
                &ImageConfig::default(),
                &[&|layer| {
                    layer.busybox();
                }],
            )
            .id
        });
        Self {
            folder,
            backend,
            number: AtomicU64::new(u64::from(std::process::id()) << 16 | u64::from(image.is_some()) << 15),
            image,
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
        (agentkernel_native::DESCRIPTOR.connect)(&common::settings(self.folder.path())).await
    }

    fn spec(&self, lifetime: Lifetime) -> SandboxSpec {
        SandboxSpec {
            id: SandboxId::from_random(self.fresh()),
            name: None,
            lifetime,
            image: match self.image {
                Some(_) => "busybox".parse().expect("a reference"),
                None => ImageRef::Host,
            },
            image_id: self.image.clone(),
            profile: Profile::Moderate,
            root: RootAccess::Writable,
            network: NetworkMode::None.into(),
            ports: Vec::new(),
            name_servers: Vec::new(),
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
        let (name, number) = match self.image {
            Some(_) => ("sandbox", 1000),
            None => ("root", 0),
        };
        (name.parse().expect("a user"), number)
    }

    fn command(&self, program: &Program) -> Command {
        const QUIT: u8 = 3;
        match program {
            // The shell of busybox cannot be ended by SIGQUIT; what it executes can.
            Program::SignalSelf(QUIT) if self.image.is_some() => {
                let script = "(while kill -3 $$; do sleep 0.01; done) & exec sleep 1000";
                Command::new(["sh", "-c", script]).expect("a command")
            }
            _ => program.posix(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_native_backend_keeps_the_contract() {
    let report = agentkernel_conformance::assert_suite(Arc::new(Native::connect(false).await)).await;
    println!("{}", report.summary());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_native_backend_keeps_the_contract_with_an_image() {
    let report = agentkernel_conformance::assert_suite(Arc::new(Native::connect(true).await)).await;
    println!("{}", report.summary());
}

/// The same suite in a process of an unprivileged user: other ids, other mounts, no groups of its own.
#[test]
fn the_native_backend_keeps_the_contract_without_root() {
    common::without_root("the_native_backend_keeps_the_contract");
}

#[test]
fn the_native_backend_keeps_the_contract_with_an_image_and_without_root() {
    common::without_root("the_native_backend_keeps_the_contract_with_an_image");
}
