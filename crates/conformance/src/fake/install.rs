//! How a fake is found by its descriptor, and the harness that runs the suite on it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use agentkernel_backend::{Backend, Capabilities, Descriptor, Error, Probe, Result, Settings, Workspace};
use agentkernel_types::{
    Command, ErrorKind, ImageRef, Isolation, Lifetime, NetworkMode, Profile, Resources, RootAccess,
    SandboxId, SandboxSpec, UserSpec,
};
use async_trait::async_trait;
use futures_util::future::BoxFuture;

use super::{Fake, Fault, World};
use crate::{Harness, Program};

/// A fake of grade `container`, named `fake`.
pub static FAKE: Descriptor = Descriptor {
    name: "fake",
    summary: "a backend in memory",
    isolation: Isolation::Container,
    connect: |settings| connect("fake", settings),
    probe: |settings| probe("fake", settings),
};

/// A fake of grade `vm`, named `fake-vm`.
pub static FAKE_VM: Descriptor = Descriptor {
    name: "fake-vm",
    summary: "a backend in memory that says it is a virtual machine",
    isolation: Isolation::Vm,
    connect: |settings| connect("fake-vm", settings),
    probe: |settings| probe("fake-vm", settings),
};

/// One that never works here, of grade `user-kernel`, named `broken`.
pub static BROKEN: Descriptor = Descriptor {
    name: "broken",
    summary: "a backend that cannot be used",
    isolation: Isolation::UserKernel,
    connect: |settings| connect("broken", settings),
    probe: |settings| probe("broken", settings),
};

static INSTALLED: LazyLock<Mutex<HashMap<(PathBuf, &'static str), Fake>>> = LazyLock::new(Mutex::default);

/// Makes `fake` what its descriptor connects to in the installation that has this runtime folder.
pub fn install(runtime_dir: &Path, fake: Fake) {
    let key = (runtime_dir.to_owned(), fake.descriptor.name);
    INSTALLED.lock().expect("no holder panics").insert(key, fake);
}

fn find(name: &'static str, settings: &Settings) -> Result<Fake> {
    let found = INSTALLED
        .lock()
        .expect("no holder panics")
        .get(&(settings.runtime_dir.clone(), name))
        .cloned();
    found.ok_or_else(|| {
        Error::new(
            ErrorKind::Unavailable,
            "connect",
            format!("{name} is not installed"),
        )
        .hint(format!("install {name}"))
    })
}

fn connect<'a>(name: &'static str, settings: &'a Settings) -> BoxFuture<'a, Result<Arc<dyn Backend>>> {
    Box::pin(async move { Ok(Arc::new(find(name, settings)?) as Arc<dyn Backend>) })
}

fn probe<'a>(name: &'static str, settings: &'a Settings) -> BoxFuture<'a, Probe> {
    Box::pin(async move {
        match find(name, settings) {
            Ok(fake) => Probe {
                usable: true,
                reason: "it is in memory".to_owned(),
                remedy: None,
                capabilities: Some(fake.capabilities),
            },
            Err(error) => Probe {
                usable: false,
                reason: error.to_string(),
                remedy: error.hint_text().map(str::to_owned),
                capabilities: None,
            },
        }
    })
}

/// The capabilities of a backend that can do everything.
pub fn everything(isolation: Isolation) -> Capabilities {
    Capabilities {
        isolation,
        kept: true,
        terminal: true,
        detached_exec: true,
        files: true,
        mounts: true,
        read_only_root: true,
        networks: vec![NetworkMode::None, NetworkMode::Host],
        network_edits: false,
        publish_ports: false,
        user: true,
        limit_cpus: true,
        limit_memory: true,
        limit_pids: true,
        limit_disk: true,
        limit_disk_kept: true,
        host_image: true,
        registry_images: agentkernel_types::RegistryImages::Own,
        oom_reported: true,
        caveats: Vec::new(),
    }
}

/// The suite's harness for a fake.
pub struct FakeHarness {
    fake: Fake,
    root: PathBuf,
    next: AtomicU64,
}

impl FakeHarness {
    /// `root` is an empty folder of the test's own.
    pub fn new(root: PathBuf, capabilities: Capabilities, faults: &[Fault]) -> Self {
        let world = Arc::new(World::default());
        let fake = Fake {
            descriptor: &FAKE,
            capabilities,
            faults: faults.to_vec(),
            world,
        };
        Self {
            fake,
            root,
            next: AtomicU64::new(1),
        }
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::SeqCst)
    }

    fn folder(&self) -> PathBuf {
        let folder = self.root.join(self.number().to_string());
        std::fs::create_dir_all(&folder).expect("the test's folder can be written");
        folder
    }
}

#[async_trait]
impl Harness for FakeHarness {
    fn backend(&self) -> Arc<dyn Backend> {
        Arc::new(self.fake.clone())
    }

    async fn reconnect(&self) -> Result<Arc<dyn Backend>> {
        Ok(self.backend())
    }

    fn spec(&self, lifetime: Lifetime) -> SandboxSpec {
        let has = &self.fake.capabilities;
        SandboxSpec {
            id: SandboxId::from_random(self.number()),
            name: None,
            lifetime,
            image: if has.host_image {
                ImageRef::Host
            } else {
                ImageRef::Registry("example/image:1".to_owned())
            },
            image_id: None,
            profile: Profile::Moderate,
            root: RootAccess::Writable,
            network: has.networks.first().copied().unwrap_or(NetworkMode::None).into(),
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
            Lifetime::Kept => Workspace::Folder(self.folder()),
        }
    }

    fn host_folder(&self) -> PathBuf {
        self.folder()
    }

    fn other_user(&self) -> (UserSpec, u32) {
        ("other".parse().expect("a valid user"), 1234)
    }

    fn command(&self, program: &Program) -> Command {
        program.plain()
    }
}
