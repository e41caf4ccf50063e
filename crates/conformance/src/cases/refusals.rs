//! What is not declared is refused by name, what is declared is accepted: the declaration itself is tested.

use agentkernel_backend::{Capabilities, Error};
use agentkernel_types::{
    ByteSize, Cpus, Digest, ErrorKind, ExecId, ImageRef, Mount, NetworkMode, RootAccess, SandboxSpec,
    TerminalSize,
};

use super::always;
use crate::{
    Failure, Program, Scene, Verdict,
    scene::{check, refused},
};

list! {
    always => the_harness_specification_is_accepted,
    always => what_is_declared_is_accepted,
    |has| !has.kept => a_kept_sandbox_is_refused_by_name,
    |has| !has.mounts => a_mount_is_refused_by_name,
    |has| !has.read_only_root => a_read_only_root_is_refused_by_name,
    |has| !has.networks.contains(&NetworkMode::None) => no_network_is_refused_by_name,
    |has| !has.networks.contains(&NetworkMode::Host) => the_hosts_network_is_refused_by_name,
    |has| !has.user => a_user_is_refused_by_name,
    |has| !has.limit_cpus => a_processor_limit_is_refused_by_name,
    |has| !has.limit_memory => a_memory_limit_is_refused_by_name,
    |has| !has.limit_pids => a_process_limit_is_refused_by_name,
    |has| !has.limit_disk => a_disk_limit_is_refused_by_name,
    |has| has.kept && !has.limit_disk_kept => a_disk_limit_of_a_kept_sandbox_is_refused_by_name,
    |has| !has.host_image => the_host_image_is_refused_by_name,
    |has| has.registry_images == agentkernel_types::RegistryImages::None => a_registry_image_is_refused_by_name,
    |has| has.registry_images == agentkernel_types::RegistryImages::Layers => an_image_that_is_not_in_the_store_is_not_found,
    |has| !has.terminal => a_terminal_is_refused_by_name,
    |has| !has.detached_exec => a_detached_command_is_refused_by_name,
    |has| !has.files => there_is_no_file_facet_without_files,
    always => the_grade_is_that_of_the_descriptor,
}

fn named(result: Result<(), Error>, field: &str) -> Verdict {
    match result {
        Ok(()) => Err(Failure(format!(
            "{field} was accepted, though it is not declared"
        ))),
        Err(error) if error.kind() != ErrorKind::Unsupported => Err(Failure(format!(
            "{field} was refused as {}: {error}",
            error.kind().as_str()
        ))),
        Err(error) if error.field() != Some(field) => Err(Failure(format!(
            "the refusal names {:?} instead of {field}: {error}",
            error.field()
        ))),
        Err(_) => Ok(()),
    }
}

/// `check` and `create` must both refuse, by the same name.
async fn spec_is_refused(scene: &Scene, spec: SandboxSpec, field: &str) -> Verdict {
    named(scene.backend().check(&spec), field)?;
    let workspace = scene.workspace(spec.lifetime);
    match scene.backend().create(&scene.cx, &spec, &workspace).await {
        Err(error) => named(Err(error), field),
        Ok(sandbox) => {
            sandbox.destroy(&scene.cx).await?;
            named(Ok(()), field)
        }
    }
}

async fn changed(scene: &Scene, field: &str, change: impl FnOnce(&mut SandboxSpec)) -> Verdict {
    let mut spec = scene.ephemeral();
    change(&mut spec);
    spec_is_refused(scene, spec, field).await
}

async fn the_harness_specification_is_accepted(scene: &Scene) -> Verdict {
    Ok(scene.backend().check(&scene.ephemeral())?)
}

/// Every declared feature, one at a time.
fn declared(has: &Capabilities, scene: &Scene) -> Vec<(&'static str, SandboxSpec)> {
    let mut specs = Vec::new();
    let mut with = |wanted: bool, what: &'static str, change: &dyn Fn(&mut SandboxSpec)| {
        if wanted {
            let mut spec = scene.ephemeral();
            change(&mut spec);
            specs.push((what, spec));
        }
    };
    let folder = scene.host_folder();
    with(has.mounts, "mounts", &|spec| {
        spec.mounts.push(Mount::new(&folder, target(), true))
    });
    with(has.read_only_root, "root", &|spec| {
        spec.root = RootAccess::ReadOnly
    });
    with(has.user, "user", &|spec| {
        spec.user = Some(scene.harness.other_user().0)
    });
    with(has.limit_cpus, "resources.cpus", &|spec| {
        spec.resources.cpus = Cpus::from_millis(500).ok()
    });
    with(has.limit_memory, "resources.memory", &|spec| {
        spec.resources.memory = Some(some_size())
    });
    with(has.limit_pids, "resources.pids", &|spec| {
        spec.resources.pids = Some(64)
    });
    with(has.limit_disk, "resources.disk", &|spec| {
        spec.resources.disk = Some(some_size())
    });
    for &mode in &has.networks {
        with(true, "network", &|spec| spec.network = mode.into());
    }
    if has.kept {
        specs.push(("lifetime", scene.kept()));
    }
    if has.kept && has.limit_disk_kept {
        let mut spec = scene.kept();
        spec.resources.disk = Some(some_size());
        specs.push(("resources.disk", spec));
    }
    specs
}

async fn what_is_declared_is_accepted(scene: &Scene) -> Verdict {
    let backend = scene.backend();
    for (what, spec) in declared(backend.capabilities(), scene) {
        backend
            .check(&spec)
            .map_err(|error| Failure(format!("{what} is declared, but refused: {error}")))?;
    }
    Ok(())
}

fn some_size() -> ByteSize {
    ByteSize::from_mebibytes(128)
}

fn target() -> agentkernel_types::GuestPath {
    "/mnt/host".parse().expect("a path of the suite is valid")
}

async fn a_kept_sandbox_is_refused_by_name(scene: &Scene) -> Verdict {
    spec_is_refused(scene, scene.kept(), "lifetime").await
}

async fn a_mount_is_refused_by_name(scene: &Scene) -> Verdict {
    let folder = scene.host_folder();
    changed(scene, "mounts", |spec| {
        spec.mounts.push(Mount::new(folder, target(), true))
    })
    .await
}

async fn a_read_only_root_is_refused_by_name(scene: &Scene) -> Verdict {
    changed(scene, "root", |spec| spec.root = RootAccess::ReadOnly).await
}

async fn no_network_is_refused_by_name(scene: &Scene) -> Verdict {
    changed(scene, "network", |spec| spec.network = NetworkMode::None.into()).await
}

async fn the_hosts_network_is_refused_by_name(scene: &Scene) -> Verdict {
    changed(scene, "network", |spec| spec.network = NetworkMode::Host.into()).await
}

async fn a_user_is_refused_by_name(scene: &Scene) -> Verdict {
    let (user, _) = scene.harness.other_user();
    changed(scene, "user", |spec| spec.user = Some(user)).await
}

async fn a_processor_limit_is_refused_by_name(scene: &Scene) -> Verdict {
    changed(scene, "resources.cpus", |spec| {
        spec.resources.cpus = Cpus::from_millis(500).ok()
    })
    .await
}

async fn a_memory_limit_is_refused_by_name(scene: &Scene) -> Verdict {
    changed(scene, "resources.memory", |spec| {
        spec.resources.memory = Some(some_size())
    })
    .await
}

async fn a_process_limit_is_refused_by_name(scene: &Scene) -> Verdict {
    changed(scene, "resources.pids", |spec| spec.resources.pids = Some(64)).await
}

async fn a_disk_limit_is_refused_by_name(scene: &Scene) -> Verdict {
    changed(scene, "resources.disk", |spec| {
        spec.resources.disk = Some(some_size())
    })
    .await
}

async fn a_disk_limit_of_a_kept_sandbox_is_refused_by_name(scene: &Scene) -> Verdict {
    let mut spec = scene.kept();
    spec.resources.disk = Some(some_size());
    spec_is_refused(scene, spec, "resources.disk").await
}

async fn the_host_image_is_refused_by_name(scene: &Scene) -> Verdict {
    changed(scene, "image", |spec| spec.image = ImageRef::Host).await
}

async fn a_registry_image_is_refused_by_name(scene: &Scene) -> Verdict {
    changed(scene, "image", |spec| {
        spec.image = ImageRef::Registry("example/image:1".to_owned())
    })
    .await
}

async fn an_image_that_is_not_in_the_store_is_not_found(scene: &Scene) -> Verdict {
    for image_id in [None, Some(Digest::from_sha256([0x5a; 32]))] {
        let mut spec = scene.ephemeral();
        spec.image = ImageRef::Registry("example/image:1".to_owned());
        spec.image_id = image_id;
        let what = format!("an image with the id {:?}", spec.image_id);
        refused(scene.backend().check(&spec), ErrorKind::NotFound, &what)?;
        let workspace = scene.workspace(spec.lifetime);
        let made = scene.backend().create(&scene.cx, &spec, &workspace).await;
        refused(made.map(drop), ErrorKind::NotFound, &what)?;
    }
    Ok(())
}

async fn a_terminal_is_refused_by_name(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let mut spec = scene.exec_spec(&Program::Exit(0));
    spec.terminal = Some(TerminalSize {
        rows: 24,
        columns: 80,
    });
    named(sandbox.exec(&scene.cx, spec).await.map(drop), "terminal")
}

async fn a_detached_command_is_refused_by_name(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    let mut spec = scene.exec_spec(&Program::Exit(0));
    spec.detach = Some(ExecId::from_random(1));
    named(sandbox.exec(&scene.cx, spec).await.map(drop), "detach")?;
    refused(
        sandbox.detached(&scene.cx).await,
        ErrorKind::Unsupported,
        "the list of detached commands",
    )
}

async fn there_is_no_file_facet_without_files(scene: &Scene) -> Verdict {
    let sandbox = scene.running().await?;
    check(
        sandbox.files().is_none(),
        "there is a file facet, though files are not declared",
    )
}

async fn the_grade_is_that_of_the_descriptor(scene: &Scene) -> Verdict {
    let backend = scene.backend();
    let (declared, grade) = (backend.descriptor().isolation, backend.capabilities().isolation);
    check(
        declared == grade,
        format!("the descriptor says {declared}, the capabilities say {grade}"),
    )
}
