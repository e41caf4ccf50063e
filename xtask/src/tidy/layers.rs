//! The layers of ARCHITECTURE.md: a crate depends on strictly lower ones only.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Violation;

/// Where a package stands. `Any` may use everything and nothing may use it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Layer {
    Number(u8),
    Any,
}

#[derive(Clone, Debug)]
pub struct Package {
    pub name: String,
    /// The folder, relative to the root.
    pub folder: String,
    /// Names of other packages of this repository.
    pub dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug)]
pub struct Dependency {
    pub name: String,
    pub development: bool,
}

/// Only for tests of backends and of the engine; no product code may need it.
const CONFORMANCE: &str = "agentkernel-conformance";
/// The guest agent is inside the walls: what it contains is what a sandbox has as PID 1.
const GUEST_MAY_USE: [&str; 2] = ["agentkernel-types", "agentkernel-protocol"];

fn layer(folder: &str) -> Option<Layer> {
    Some(match folder {
        "crates/types" => Layer::Number(0),
        "crates/protocol" | "crates/policy" | "crates/detect" | "crates/backend" | "crates/store" => {
            Layer::Number(1)
        }
        "crates/config"
        | "crates/control"
        | "crates/agent-client"
        | "crates/conformance"
        | "crates/egress"
        | "crates/image"
        | "guest/agent" => Layer::Number(2),
        "crates/pull" => Layer::Number(3),
        backend if backend.starts_with("backends/") => Layer::Number(3),
        "crates/engine" | "crates/registry" => Layer::Number(4),
        "crates/cli" => Layer::Number(5),
        "xtask" | "tests" | "benches" => Layer::Any,
        _ => return None,
    })
}

/// Reads what `cargo metadata --no-deps` says.
pub fn packages(metadata: &Value) -> Result<Vec<Package>> {
    let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
    let root = text(metadata, "workspace_root").context("the metadata has no workspace_root")?;
    let rows = metadata["packages"]
        .as_array()
        .context("the metadata has no packages")?;
    let mut packages = Vec::new();
    for row in rows {
        let manifest = text(row, "manifest_path").context("a package has no manifest")?;
        let folder = manifest
            .trim_end_matches("/Cargo.toml")
            .trim_start_matches(&root)
            .trim_start_matches('/');
        let dependencies = row["dependencies"].as_array().into_iter().flatten();
        packages.push(Package {
            name: text(row, "name").context("a package has no name")?,
            folder: folder.to_owned(),
            // Only a dependency by path is one of ours.
            dependencies: dependencies
                .filter(|dependency| dependency["path"].is_string())
                .filter_map(|dependency| {
                    let development = dependency["kind"].as_str() == Some("dev");
                    Some(Dependency {
                        name: text(dependency, "name")?,
                        development,
                    })
                })
                .collect(),
        });
    }
    Ok(packages)
}

pub fn check(packages: &[Package]) -> Vec<Violation> {
    let layers: BTreeMap<&str, Option<Layer>> = packages
        .iter()
        .map(|package| (package.name.as_str(), layer(&package.folder)))
        .collect();
    let mut violations = Vec::new();
    for package in packages {
        let mut report = |message: String| {
            violations.push(Violation::new(
                format!("{}/Cargo.toml", package.folder),
                0,
                message,
            ));
        };
        let Some(own) = layer(&package.folder) else {
            report(format!(
                "{} has no layer: give it one in xtask/src/tidy/layers.rs",
                package.name
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let other = layers.get(dependency.name.as_str()).copied().flatten();
            if let Some(why) = refusal(package, own, dependency, other) {
                report(format!(
                    "{} may not depend on {}: {why}",
                    package.name, dependency.name
                ));
            }
        }
    }
    violations
}

fn refusal(
    package: &Package,
    own: Layer,
    dependency: &Dependency,
    other: Option<Layer>,
) -> Option<&'static str> {
    let other = other?;
    if own == Layer::Any {
        return None;
    }
    if other == Layer::Any {
        return Some("tests, benchmarks and chores stand above the product");
    }
    if dependency.name == CONFORMANCE {
        return (!dependency.development).then_some("the conformance suite is a dev-dependency only");
    }
    if package.folder == "guest/agent"
        && !dependency.development
        && !GUEST_MAY_USE.contains(&dependency.name.as_str())
    {
        return Some("the guest agent uses types and protocol only");
    }
    match dependency.development {
        true => (other > own).then_some("it is on a higher layer"),
        false => (other >= own).then_some("it is not on a strictly lower layer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(folder: &str, dependencies: &[(&str, bool)]) -> Package {
        let name = format!(
            "agentkernel-{}",
            folder.rsplit('/').next().expect("a folder has a last part")
        );
        let dependencies = dependencies
            .iter()
            .map(|&(name, development)| Dependency {
                name: format!("agentkernel-{name}"),
                development,
            })
            .collect();
        Package {
            name,
            folder: folder.to_owned(),
            dependencies,
        }
    }

    fn house(extra: Package) -> Vec<Violation> {
        let mut packages: Vec<Package> = [
            "crates/types",
            "crates/protocol",
            "crates/backend",
            "crates/control",
            "crates/conformance",
            "crates/engine",
            "crates/registry",
            "crates/cli",
            "tests",
        ]
        .iter()
        .filter(|folder| **folder != extra.folder)
        .map(|folder| package(folder, &[]))
        .collect();
        packages.push(extra);
        check(&packages)
    }

    #[test]
    fn a_lower_layer_may_be_used() {
        assert_eq!(
            house(package("crates/control", &[("backend", false), ("types", false)])),
            []
        );
        assert_eq!(
            house(package(
                "backends/sample",
                &[("backend", false), ("conformance", true)]
            )),
            []
        );
        assert_eq!(house(package("tests", &[("cli", false), ("engine", false)])), []);
    }

    #[test]
    fn planted_violations_are_found() {
        for (planted, why) in [
            (
                package("crates/types", &[("protocol", false)]),
                "not on a strictly lower layer",
            ),
            (
                package("crates/backend", &[("protocol", false)]),
                "not on a strictly lower layer",
            ),
            (
                package("crates/engine", &[("registry", false)]),
                "not on a strictly lower layer",
            ),
            (package("crates/engine", &[("cli", true)]), "on a higher layer"),
            (
                package("crates/engine", &[("conformance", false)]),
                "dev-dependency only",
            ),
            (
                package("guest/agent", &[("backend", false)]),
                "types and protocol only",
            ),
            (package("crates/cli", &[("tests", false)]), "stand above"),
            (package("crates/novelty", &[]), "has no layer"),
        ] {
            let found = house(planted.clone());
            assert_eq!(found.len(), 1, "{planted:?}: {found:?}");
            assert!(found[0].message.contains(why), "{planted:?}: {found:?}");
        }
    }

    #[test]
    fn the_metadata_of_cargo_is_understood() {
        let metadata = serde_json::json!({
            "workspace_root": "/house",
            "packages": [{
                "name": "agentkernel-engine",
                "manifest_path": "/house/crates/engine/Cargo.toml",
                "dependencies": [
                    { "name": "serde", "kind": null },
                    { "name": "agentkernel-conformance", "kind": "dev", "path": "/house/crates/conformance" },
                ],
            }],
        });
        let packages = packages(&metadata).expect("the metadata is complete");
        assert_eq!(packages[0].folder, "crates/engine");
        assert_eq!(packages[0].dependencies.len(), 1);
        assert!(packages[0].dependencies[0].development);
    }
}
