//! The settings as rows of key, value and origin, for `config show --origin`.

use agentkernel_types::{NetworkMode, Profile};

use crate::{ImageSettings, Origin, RegistrySettings, Resolved, Setting, grants::Grant, limits::Limit};

const UNSET: &str = "(not set)";

/// One row for each key that a file can set, in the order of the reference. `[[files]]` and the lists of
/// [network] have one row an entry.
pub fn rows(resolved: &Resolved) -> Vec<(String, String, Origin)> {
    let mut rows = vec![
        row("sandbox.name", &resolved.name),
        row("sandbox.base_image", &resolved.image),
        row("sandbox.runtime", &resolved.runtime),
        row("agent.preferred", &resolved.agent),
    ];
    for limit in Limit::ALL {
        let value = limit
            .show_in_file(&resolved.resources)
            .unwrap_or_else(|| UNSET.to_owned());
        let origin = resolved
            .resource_origins
            .of(limit)
            .cloned()
            .unwrap_or(Origin::Default);
        rows.push((
            format!("resources.{}", limit.key()),
            value.trim_matches('"').to_owned(),
            origin,
        ));
    }
    let Setting::<Profile> { value, origin } = &resolved.profile;
    rows.push(("security.profile".to_owned(), value.to_string(), origin.clone()));
    let mode = &resolved.network.value.mode;
    let origin = &resolved.network.origin;
    rows.push((
        "security.network".to_owned(),
        (*mode != NetworkMode::None).to_string(),
        origin.clone(),
    ));
    for grant in Grant::ALL {
        let value = grant.of(&resolved.grants).to_string();
        rows.push((
            format!("security.{}", grant.key()),
            value,
            resolved.grant_origins.of(grant).clone(),
        ));
    }
    network(resolved, &mut rows);
    for file in &resolved.files {
        let source = crate::problem::visible(&file.source.display().to_string());
        rows.push((
            "files".to_owned(),
            format!("{source} -> {} ({:04o})", file.dest, file.mode),
            file.origin.clone(),
        ));
    }
    images(&resolved.images, &mut rows);
    rows.push(row("defaults.backend", &resolved.backend));
    rows.push(row("defaults.isolation", &resolved.isolation));
    rows
}

fn network(resolved: &Resolved, rows: &mut Vec<(String, String, Origin)>) {
    let Setting {
        value: policy,
        origin,
    } = &resolved.network;
    let origins = &resolved.network_origins;
    rows.push(("network.mode".to_owned(), policy.mode.to_string(), origin.clone()));
    list("network.allow", &policy.allow, &origins.allow, rows);
    list("network.deny", &policy.deny, &origins.deny, rows);
    list("network.ports", &resolved.ports, &origins.ports, rows);
    list("network.dns", &resolved.name_servers, &origins.name_servers, rows);
}

/// One row an entry.
fn list<T: ToString>(key: &str, values: &[T], origins: &[Origin], rows: &mut Vec<(String, String, Origin)>) {
    if values.is_empty() {
        rows.push((key.to_owned(), UNSET.to_owned(), Origin::Default));
    }
    for (value, origin) in values.iter().zip(origins) {
        rows.push((key.to_owned(), value.to_string(), origin.clone()));
    }
}

fn images(images: &ImageSettings, rows: &mut Vec<(String, String, Origin)>) {
    if let Some(build) = &images.build {
        let origin = Origin::ProjectFile {
            path: build.file.clone(),
            line: 1,
        };
        let context = crate::problem::visible(&build.context.display().to_string());
        rows.push(("build.context".to_owned(), context, origin));
    }
    rows.push(row("images.pull", &images.pull));
    rows.push(row("images.max_size", &images.max_bytes));
    rows.push(row("images.parallel_layers", &images.parallel_layers));
    for (host, registry) in &images.registries {
        let RegistrySettings {
            insecure,
            ca,
            mirrors,
        } = &registry.value;
        let mut said = Vec::new();
        if *insecure {
            said.push("plain HTTP".to_owned());
        }
        said.extend(
            ca.iter()
                .map(|ca| format!("ca {}", crate::problem::visible(&ca.display().to_string()))),
        );
        said.extend(mirrors.iter().map(|mirror| format!("mirror {mirror}")));
        rows.push((
            format!("registries.{host}"),
            said.join(", "),
            registry.origin.clone(),
        ));
    }
}

fn row<T: ToString>(key: &str, setting: &Option<Setting<T>>) -> (String, String, Origin) {
    match setting {
        Some(setting) => (key.to_owned(), setting.value.to_string(), setting.origin.clone()),
        None => (key.to_owned(), UNSET.to_owned(), Origin::Default),
    }
}
