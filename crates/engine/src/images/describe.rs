//! Images of the store as replies.

use agentkernel_control::{ImageDetails, ImageInfo, LayerDetails};
use agentkernel_image::{Inspected, Listed, Source};
use agentkernel_types::Digest;

pub(super) fn info(listed: Listed, kept: &[Digest]) -> ImageInfo {
    let Listed {
        id,
        names,
        source: from,
        bytes,
        own_bytes,
        created_at_ms,
        used_at_ms,
        in_use,
    } = listed;
    ImageInfo {
        in_use: in_use || kept.contains(&id),
        id,
        names,
        source: source(&from),
        bytes,
        own_bytes,
        created_at_ms,
        used_at_ms,
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::Registry { host } => host.clone(),
        Source::Archive { path } => format!("archive {path}"),
        Source::Engine { name } => name.clone(),
        Source::Build { context } => format!("build of {context}"),
    }
}

pub(super) fn details(inspected: Inspected, kept: &[Digest]) -> ImageDetails {
    let Inspected { listed, image, .. } = inspected;
    let config = image.config;
    let variant = config
        .variant
        .map(|variant| format!("/{variant}"))
        .unwrap_or_default();
    ImageDetails {
        info: info(listed, kept),
        manifest: image.manifest,
        platform: format!("{}/{}{variant}", config.os, config.architecture),
        env: config
            .env
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect(),
        workdir: config.workdir,
        user: config.user,
        entrypoint: config.entrypoint,
        cmd: config.cmd,
        labels: config.labels.into_iter().collect(),
        exposed_ports: config.exposed_ports,
        volumes: config.volumes,
        stop_signal: config.stop_signal,
        created: config.created,
        layers: image
            .layers
            .into_iter()
            .map(|layer| LayerDetails {
                diff_id: layer.diff_id,
                bytes: layer.content_bytes,
                entries: layer.entries,
            })
            .collect(),
    }
}
