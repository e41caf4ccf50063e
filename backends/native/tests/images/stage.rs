//! An installation with one image, and what runs in it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use agentkernel_backend::{Backend, Context, Error, Sandbox, Workspace};
use agentkernel_image::{Image, ImageConfig};
use agentkernel_types::{
    Command, ErrorKind, ExecSpec, ImageRef, Lifetime, Mount, NetworkMode, Profile, Resources, RootAccess,
    SandboxId, SandboxSpec,
};

use crate::common::{self, Tree};

/// One installation of the backend with an image of these layers.
pub struct Stage {
    pub folder: tempfile::TempDir,
    pub backend: Arc<dyn Backend>,
    pub image: Image,
    pub cx: Context,
}

impl Stage {
    pub async fn with(config: ImageConfig, layers: &[&dyn Fn(&mut Tree)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let image = common::image(folder.path(), &config, layers);
        Self {
            backend: connect(folder.path()).await,
            folder,
            image,
            cx: Context::within(Duration::from_secs(60)),
        }
    }

    /// Busybox, and one layer over it.
    pub async fn busybox(over: impl Fn(&mut Tree)) -> Self {
        Self::with(ImageConfig::default(), &[&busybox, &over]).await
    }

    pub fn spec(&self) -> SandboxSpec {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = u64::from(std::process::id()) << 20 | NUMBER.fetch_add(1, Ordering::Relaxed);
        SandboxSpec {
            // Far apart, as random ones are.
            id: SandboxId::from_random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            name: None,
            lifetime: Lifetime::Ephemeral,
            image: ImageRef::Registry("made/by-hand".to_owned()),
            image_id: Some(self.image.id.clone()),
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

    /// What a shell prints in a fresh sandbox, both streams.
    pub async fn run(&self, spec: &SandboxSpec, script: &str) -> Result<String, Error> {
        let sandbox = self.backend.create(&self.cx, spec, &Workspace::None).await?;
        sandbox.start(&self.cx).await?;
        let said = say(&self.cx, &sandbox, script).await;
        sandbox.destroy(&self.cx).await?;
        said
    }

    pub async fn says(&self, script: &str) -> String {
        self.run(&self.spec(), script).await.expect("it runs")
    }

    pub fn mount(&self, source: &Path, target: &str) -> Mount {
        Mount {
            source: source.to_owned(),
            target: target.parse().expect("a path"),
            read_only: false,
            masked: Vec::new(),
        }
    }
}

pub async fn connect(folder: &Path) -> Arc<dyn Backend> {
    (agentkernel_native::DESCRIPTOR.connect)(&common::settings(folder))
        .await
        .expect("Linux with user namespaces")
}

pub async fn say(cx: &Context, sandbox: &Arc<dyn Sandbox>, script: &str) -> Result<String, Error> {
    let command = Command::new(["sh", "-c", script]).expect("a command");
    let (stdout, stderr, _) = sandbox
        .exec(cx, ExecSpec::new(command))
        .await?
        .collect(1 << 20)
        .await?;
    Ok(String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

pub fn busybox(layer: &mut Tree) {
    layer.busybox();
}

pub fn words(config: &[(&str, &str)]) -> Vec<(String, String)> {
    config
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// Refused because of what is in the image; the message has all these words.
#[track_caller]
pub fn assert_refused(result: Result<String, Error>, words: &[&str]) {
    let error = result.expect_err("it must be refused");
    let shown = format!("{error}");
    assert_eq!(error.kind(), ErrorKind::InvalidSpec, "{shown}");
    for word in words {
        assert!(shown.contains(word), "{shown:?} does not say {word:?}");
    }
}
