//! What `doctor` learns of this backend: by starting a sandbox.

use std::time::Instant;

use agentkernel_backend::{Backend, Context, Error, Probe, Settings, Workspace};
use agentkernel_types::{
    Command, ErrorKind, ExecSpec, ImageRef, Lifetime, NetworkMode, NetworkPolicy, Profile, Resources,
    RootAccess, SandboxId, SandboxSpec,
};
use futures_util::future::BoxFuture;

use crate::backend::NativeBackend;

pub(crate) fn probe(settings: &Settings) -> BoxFuture<'_, Probe> {
    Box::pin(async move {
        let backend = NativeBackend::new(settings);
        let began = Instant::now();
        match try_one(&backend).await {
            Ok(()) => Probe {
                usable: true,
                reason: format!(
                    "ran a command in a sandbox in {} ms",
                    began.elapsed().as_millis().max(1)
                ),
                remedy: None,
                capabilities: Some(backend.capabilities().clone()),
            },
            Err(error) => Probe {
                usable: false,
                reason: sentence(&error),
                remedy: error
                    .hint_text()
                    .map(str::to_owned)
                    .or_else(|| apparmor().map(str::to_owned)),
                capabilities: None,
            },
        }
    })
}

async fn try_one(backend: &NativeBackend) -> Result<(), Error> {
    let cx = Context::within(std::time::Duration::from_secs(10));
    let spec = SandboxSpec {
        id: SandboxId::from_random(std::process::id().into()),
        name: None,
        lifetime: Lifetime::Ephemeral,
        image: ImageRef::Host,
        image_id: None,
        profile: Profile::Restrictive,
        root: RootAccess::ReadOnly,
        network: NetworkPolicy::of(NetworkMode::None).into(),
        ports: Vec::new(),
        name_servers: Vec::new(),
        mounts: Vec::new(),
        env: Vec::new(),
        workdir: None,
        user: None,
        resources: Resources::default(),
    };
    let sandbox = backend.create(&cx, &spec, &Workspace::None).await?;
    sandbox.start(&cx).await?;
    let command = Command::new(["/bin/sh", "-c", "exit 7"])?;
    let ended = sandbox
        .exec(&cx, ExecSpec::new(command))
        .await?
        .collect(4096)
        .await;
    sandbox.destroy(&cx).await?;
    match ended?.2.exit_code() {
        7 => Ok(()),
        other => Err(Error::new(
            ErrorKind::Broken,
            "probe",
            format!("a command that exits with 7 exited with {other}"),
        )),
    }
}

fn sentence(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text += &format!(": {next}");
        cause = next.source();
    }
    text
}

/// Ubuntu's restriction lets a user namespace be made, and then forbids everything in it.
fn apparmor() -> Option<&'static str> {
    let restricted =
        std::fs::read_to_string("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").ok()?;
    (restricted.trim() == "1").then_some(
        "AppArmor restricts user namespaces: run `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, \
         or run agentkernel as root",
    )
}
