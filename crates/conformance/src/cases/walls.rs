//! Network, read-only root and limits, where they are declared.

use agentkernel_types::{ByteSize, NetworkMode, RootAccess};

use super::always;
use crate::{
    Program, Scene, Verdict,
    scene::{check, equal},
};

list! {
    |has| has.networks.contains(&NetworkMode::None) => without_a_network_there_is_only_loopback,
    |has| has.read_only_root => a_read_only_root_refuses_writes,
    |has| has.read_only_root => a_read_only_root_has_a_writable_tmp,
    always => a_writable_root_takes_writes,
    |has| has.limit_pids => a_process_limit_is_kept,
    |has| has.limit_memory => a_memory_limit_is_kept,
    |has| has.limit_disk => a_disk_limit_is_kept,
    |has| has.limit_pids || has.limit_memory => limits_are_reported,
}

async fn without_a_network_there_is_only_loopback(scene: &Scene) -> Verdict {
    let mut spec = scene.ephemeral();
    spec.network = NetworkMode::None.into();
    let sandbox = scene.start(&spec).await?;
    let text = scene.outcome(&sandbox, &Program::Interfaces).await?.text();
    equal(
        text.split_whitespace().collect::<Vec<_>>(),
        vec!["lo"],
        "interfaces",
    )
}

async fn writes(scene: &Scene, root: RootAccess, path: &str) -> Verdict<bool> {
    let mut spec = scene.ephemeral();
    spec.root = root;
    let sandbox = scene.start(&spec).await?;
    let write = Program::Write {
        path: path.to_owned(),
        text: "x".to_owned(),
    };
    Ok(scene.outcome(&sandbox, &write).await?.exit.is_success())
}

async fn a_read_only_root_refuses_writes(scene: &Scene) -> Verdict {
    for path in [
        "/made",
        "/etc/made",
        "/usr/made",
        "/home/sandbox/made",
        "/var/made",
    ] {
        check(
            !writes(scene, RootAccess::ReadOnly, path).await?,
            format!("{path} was written"),
        )?;
    }
    Ok(())
}

async fn a_read_only_root_has_a_writable_tmp(scene: &Scene) -> Verdict {
    check(
        writes(scene, RootAccess::ReadOnly, "/tmp/made").await?,
        "/tmp cannot be written",
    )
}

async fn a_writable_root_takes_writes(scene: &Scene) -> Verdict {
    check(
        writes(scene, RootAccess::Writable, "/home/sandbox/made").await?,
        "the home folder cannot be written",
    )
}

async fn a_process_limit_is_kept(scene: &Scene) -> Verdict {
    let mut spec = scene.ephemeral();
    spec.resources.pids = Some(32);
    let sandbox = scene.start(&spec).await?;
    let exit = scene.outcome(&sandbox, &Program::SpawnMany(200)).await?.exit;
    check(
        !exit.is_success(),
        "200 processes were started where 32 are allowed",
    )?;
    // The sandbox itself is still usable: what the program started went with it.
    crate::scene::until("a command runs again", async || {
        let process = sandbox.exec(&scene.cx, scene.exec_spec(&Program::Exit(0))).await;
        match process {
            Ok(process) => Ok(crate::scene::collect(process).await?.exit.is_success()),
            Err(_) => Ok(false),
        }
    })
    .await
}

async fn a_memory_limit_is_kept(scene: &Scene) -> Verdict {
    let mut spec = scene.ephemeral();
    spec.resources.memory = Some(ByteSize::from_mebibytes(64));
    let sandbox = scene.start(&spec).await?;
    let exit = scene.outcome(&sandbox, &Program::EatMemory).await?.exit;
    check(!exit.is_success(), "a program took all the memory it wanted")
}

async fn a_disk_limit_is_kept(scene: &Scene) -> Verdict {
    let mut spec = scene.ephemeral();
    spec.resources.disk = Some(ByteSize::from_mebibytes(16));
    let sandbox = scene.start(&spec).await?;
    let fill = |mebibytes: u64| Program::Fill {
        path: "/home/sandbox/fill".to_owned(),
        bytes: mebibytes << 20,
    };
    check(
        scene.outcome(&sandbox, &fill(4)).await?.exit.is_success(),
        "4 MiB do not fit into 16",
    )?;
    check(
        !scene.outcome(&sandbox, &fill(64)).await?.exit.is_success(),
        "64 MiB fit into 16",
    )
}

async fn limits_are_reported(scene: &Scene) -> Verdict {
    let has = scene.backend().capabilities().clone();
    let mut spec = scene.ephemeral();
    spec.resources.pids = has.limit_pids.then_some(64);
    spec.resources.memory = has.limit_memory.then(|| ByteSize::from_mebibytes(64));
    let sandbox = scene.start(&spec).await?;
    let limits = sandbox.stats(&scene.cx).await?.limits;
    equal(
        (limits.pids, limits.memory),
        (spec.resources.pids, spec.resources.memory),
        "limits",
    )
}
