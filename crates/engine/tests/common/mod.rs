//! An engine over fake backends, in a folder of its own.

#![allow(dead_code, reason = "each test file uses its own part of the stage")]

pub mod archive;

use std::{path::PathBuf, sync::Arc};

use agentkernel_backend::Capabilities;
use agentkernel_conformance::fake::{BROKEN, FAKE, FAKE_VM, Fake, Fault, World, everything, install};
use agentkernel_control::{
    Control, Event, EventKind, ImageAccess, Output, Process, Result, Run, RunRequest, SandboxRequest,
};
use agentkernel_engine::{Engine, EngineOptions};
use agentkernel_store::Paths;
use agentkernel_types::{
    Command, ExecSpec, Exit, ImageRef, Isolation, NetworkMode, NetworkPolicy, Profile, PullPolicy, Resources,
    SandboxName, StdinMode,
};

pub struct Stage {
    pub folder: tempfile::TempDir,
    pub world: Arc<World>,
    pub vm_world: Arc<World>,
    pub engine: Engine,
}

impl Stage {
    /// The grade `container` only, without images but the host's.
    pub fn new() -> Self {
        Self::with(host_only(Isolation::Container), &[])
    }

    pub fn faulty(faults: &[Fault]) -> Self {
        Self::with(host_only(Isolation::Container), faults)
    }

    pub fn with(capabilities: Capabilities, faults: &[Fault]) -> Self {
        Self::assemble(Some((capabilities, faults)), None)
    }

    /// Both grades.
    pub fn two(container: Capabilities, vm: Capabilities) -> Self {
        Self::assemble(Some((container, &[])), Some(vm))
    }

    pub fn none() -> Self {
        Self::assemble(None, None)
    }

    fn assemble(container: Option<(Capabilities, &[Fault])>, vm: Option<Capabilities>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("project")).expect("a folder");
        let (world, vm_world) = (Arc::new(World::default()), Arc::new(World::default()));
        let paths = paths(&folder);
        if let Some((capabilities, faults)) = container {
            let fake = Fake {
                descriptor: &FAKE,
                capabilities,
                faults: faults.to_vec(),
                world: world.clone(),
            };
            install(&paths.runtime, fake);
        }
        if let Some(capabilities) = vm {
            let fake = Fake {
                descriptor: &FAKE_VM,
                capabilities,
                faults: Vec::new(),
                world: vm_world.clone(),
            };
            install(&paths.runtime, fake);
        }
        let engine = engine(paths);
        Self {
            folder,
            world,
            vm_world,
            engine,
        }
    }

    /// What a second process would have.
    pub fn other_process(&self) -> Engine {
        engine(paths(&self.folder))
    }

    /// The same host with other faults, as a second process sees it.
    pub fn other_process_with(&self, faults: &[Fault]) -> Engine {
        let capabilities = host_only(Isolation::Container);
        let fake = Fake {
            descriptor: &FAKE,
            capabilities,
            faults: faults.to_vec(),
            world: self.world.clone(),
        };
        install(&paths(&self.folder).runtime, fake);
        self.other_process()
    }

    pub fn project(&self) -> PathBuf {
        self.folder
            .path()
            .join("project")
            .canonicalize()
            .expect("it has been made")
    }

    pub fn sandboxes_folder(&self) -> PathBuf {
        self.folder.path().join("data/sandboxes")
    }

    pub fn request(&self) -> SandboxRequest {
        SandboxRequest {
            name: None,
            image: Some(ImageRef::Host),
            images: offline_images(),
            runtime: None,
            backend: None,
            isolation: None,
            profile: Profile::Moderate,
            grants: Profile::Moderate.grants(),
            network: NetworkPolicy::of(NetworkMode::Host),
            network_origin: "the test".to_owned(),
            ports: Vec::new(),
            name_servers: Vec::new(),
            project_dir: self.project(),
            home_dir: None,
            credentials: Vec::new(),
            caller_env: Vec::new(),
            mounts: Vec::new(),
            env: Vec::new(),
            workdir: None,
            user: None,
            resources: Resources::default(),
            files: Vec::new(),
            agent: None,
        }
    }

    pub fn named(&self, text: &str) -> SandboxRequest {
        SandboxRequest {
            name: Some(name(text)),
            ..self.request()
        }
    }

    pub fn run(&self, argv: &[&str]) -> RunRequest {
        RunRequest {
            sandbox: self.request(),
            command: Some(command(argv)),
            entrypoint: None,
            terminal: None,
            stdin: StdinMode::Null,
            keep: false,
        }
    }

    pub async fn exec(&self, name: &SandboxName, argv: &[&str]) -> (String, Exit) {
        collect(
            self.engine
                .exec(name, exec_spec(argv))
                .await
                .expect("the command starts"),
        )
        .await
    }
}

fn engine(paths: Paths) -> Engine {
    Engine::new(EngineOptions {
        paths,
        descriptors: vec![&FAKE, &BROKEN, &FAKE_VM],
        network_program: Vec::new(),
    })
}

pub fn paths(folder: &tempfile::TempDir) -> Paths {
    let below = |name| folder.path().join(name);
    Paths {
        data: below("data"),
        cache: below("cache"),
        runtime: below("run"),
        config: below("config"),
    }
}

pub fn host_only(isolation: Isolation) -> Capabilities {
    Capabilities {
        registry_images: agentkernel_types::RegistryImages::None,
        ..everything(isolation)
    }
}

/// No test of the engine asks a registry, or an engine of this machine, unless it says so.
pub fn offline_images() -> ImageAccess {
    ImageAccess {
        policy: PullPolicy::Never,
        ..ImageAccess::default()
    }
}

pub fn offline(isolation: Isolation) -> Capabilities {
    Capabilities {
        networks: vec![NetworkMode::None],
        ..host_only(isolation)
    }
}

pub fn name(text: &str) -> SandboxName {
    text.parse().expect("a name of the test is valid")
}

pub fn command(argv: &[&str]) -> Command {
    Command::new(argv.iter().copied()).expect("a command of the test is valid")
}

pub fn exec_spec(argv: &[&str]) -> ExecSpec {
    ExecSpec::new(command(argv))
}

pub async fn collect(process: Process) -> (String, Exit) {
    let (stdout, _, exit) = process.collect(1 << 20).await.expect("the command ends");
    (String::from_utf8_lossy(&stdout).into_owned(), exit)
}

/// All events up to the end, numbered without a gap.
pub async fn events(mut run: Run) -> Vec<EventKind> {
    let mut kinds = Vec::new();
    while let Some(event) = run.events.recv().await {
        let Event { sequence, kind } = event.expect("the run goes well");
        assert_eq!(
            sequence,
            kinds.len() as u64 + 1,
            "events are numbered from 1 without a gap"
        );
        kinds.push(kind);
    }
    kinds
}

/// What a run says on stdout, and how it ends.
pub async fn outcome(run: Result<Run>) -> (String, Exit) {
    let events = events(run.expect("the run starts")).await;
    let mut stdout = Vec::new();
    let mut end = None;
    for event in events {
        match event {
            EventKind::Output(Output::Stdout(chunk)) => stdout.extend_from_slice(&chunk),
            EventKind::Finished { exit, .. } => end = Some(exit),
            _ => {}
        }
    }
    (
        String::from_utf8_lossy(&stdout).into_owned(),
        end.expect("the last event is the end"),
    )
}

/// Polls until it holds; a bound keeps a broken promise from hanging.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("it did not happen that {what}");
}
