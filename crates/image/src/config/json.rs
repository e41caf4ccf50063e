//! Configuration files of OCI and Docker, to and from JSON.

use std::collections::BTreeMap;

use agentkernel_types::{Digest, ErrorKind};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{ImageConfig, ParsedConfig};
use crate::{Error, Result};

#[derive(Deserialize)]
struct File {
    #[serde(default, deserialize_with = "or_default")]
    os: String,
    #[serde(default, deserialize_with = "or_default")]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default)]
    created: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    config: Run,
    rootfs: Option<RootFs>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Run {
    user: Option<String>,
    #[serde(deserialize_with = "or_default")]
    env: Vec<String>,
    entrypoint: Option<Words>,
    cmd: Option<Words>,
    working_dir: Option<String>,
    #[serde(deserialize_with = "or_default")]
    labels: BTreeMap<String, Option<String>>,
    #[serde(deserialize_with = "or_default")]
    exposed_ports: BTreeMap<String, IgnoredAny>,
    #[serde(deserialize_with = "or_default")]
    volumes: BTreeMap<String, IgnoredAny>,
    stop_signal: Option<String>,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    kind: String,
    #[serde(default, deserialize_with = "or_default")]
    diff_ids: Vec<String>,
}

/// Docker takes one string for a list of one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    Many(Vec<String>),
    One(String),
}

impl From<Words> for Vec<String> {
    fn from(words: Words) -> Self {
        match words {
            Words::Many(words) => words,
            Words::One(word) => vec![word],
        }
    }
}

/// Go writes `null` for what is empty.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

pub fn parse(json: &[u8]) -> Result<ParsedConfig> {
    if json.len() > ImageConfig::MAX_BYTES {
        return Err(wrong(format!(
            "it is longer than {} MiB",
            ImageConfig::MAX_BYTES >> 20
        )));
    }
    let file: File = serde_json::from_slice(json).map_err(|error| wrong(error.to_string()))?;
    let diff_ids = diff_ids(file.rootfs)?;
    let run = file.config;
    let config = ImageConfig {
        env: environment(run.env)?,
        workdir: run.working_dir.filter(|text| !text.is_empty()),
        user: run.user.filter(|text| !text.is_empty()),
        entrypoint: run.entrypoint.map(Into::into).unwrap_or_default(),
        cmd: run.cmd.map(Into::into).unwrap_or_default(),
        labels: run
            .labels
            .into_iter()
            .map(|(name, value)| (name, value.unwrap_or_default()))
            .collect(),
        exposed_ports: run.exposed_ports.into_keys().collect(),
        volumes: run.volumes.into_keys().collect(),
        stop_signal: run.stop_signal.filter(|text| !text.is_empty()),
        os: file.os,
        architecture: file.architecture,
        variant: file.variant.filter(|text| !text.is_empty()),
        created: file.created.filter(|text| !text.is_empty()),
    };
    check_words("Entrypoint", &config.entrypoint)?;
    check_words("Cmd", &config.cmd)?;
    check_words("WorkingDir", config.workdir.as_slice())?;
    check_words("User", config.user.as_slice())?;
    Ok(ParsedConfig {
        id: Digest::from_sha256(Sha256::digest(json).into()),
        config,
        diff_ids,
    })
}

fn diff_ids(rootfs: Option<RootFs>) -> Result<Vec<Digest>> {
    let rootfs = rootfs.ok_or_else(|| wrong("it names no layers (rootfs)"))?;
    if !matches!(rootfs.kind.as_str(), "" | "layers") {
        return Err(wrong(format!(
            "rootfs.type is {:?} and not \"layers\"",
            rootfs.kind
        )));
    }
    if rootfs.diff_ids.is_empty() {
        return Err(wrong("it has no layers")
            .hint("an artifact that is not a container image cannot be the root of a sandbox"));
    }
    if rootfs.diff_ids.len() > ImageConfig::MAX_LAYERS {
        let (count, most) = (rootfs.diff_ids.len(), ImageConfig::MAX_LAYERS);
        return Err(wrong(format!(
            "it has {count} layers, and at most {most} can be mounted"
        ))
        .hint("squash it: docker build --squash, or docker export and `agentkernel image import`"));
    }
    rootfs
        .diff_ids
        .iter()
        .map(|text| {
            text.parse()
                .map_err(|error| wrong(format!("rootfs.diff_ids: {error}")))
        })
        .collect()
}

/// What has no `=` sets nothing, as with Docker. A name that occurs twice has its last value.
fn environment(lines: Vec<String>) -> Result<Vec<(String, String)>> {
    check_words("Env", &lines)?;
    let mut env: Vec<(String, String)> = Vec::with_capacity(lines.len());
    let mut places = BTreeMap::new();
    for line in lines {
        let Some((name, value)) = line.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            continue;
        };
        match places.get(name) {
            Some(&place) => {
                let (_, old): &mut (String, String) = &mut env[place];
                value.clone_into(old);
            }
            None => {
                places.insert(name.to_owned(), env.len());
                env.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    Ok(env)
}

/// No program could ever be given a NUL character.
fn check_words(field: &str, words: &[String]) -> Result<()> {
    if words.iter().any(|word| word.contains('\0')) {
        return Err(wrong(format!("{field} has a NUL character")));
    }
    Ok(())
}

pub fn write(config: &ImageConfig, diff_ids: &[Digest]) -> Vec<u8> {
    let mut run = Map::new();
    let mut put = |name: &str, value: Value, empty: bool| {
        if !empty {
            run.insert(name.to_owned(), value);
        }
    };
    let env: Vec<String> = config
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let set = |names: &[String]| -> Value {
        names
            .iter()
            .map(|name| (name.clone(), json!({})))
            .collect::<Map<_, _>>()
            .into()
    };
    let labels: Map<String, Value> = config
        .labels
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    put("User", json!(config.user), config.user.is_none());
    put(
        "ExposedPorts",
        set(&config.exposed_ports),
        config.exposed_ports.is_empty(),
    );
    put("Env", json!(env), env.is_empty());
    put(
        "Entrypoint",
        json!(config.entrypoint),
        config.entrypoint.is_empty(),
    );
    put("Cmd", json!(config.cmd), config.cmd.is_empty());
    put("Volumes", set(&config.volumes), config.volumes.is_empty());
    put("WorkingDir", json!(config.workdir), config.workdir.is_none());
    put("Labels", labels.into(), config.labels.is_empty());
    put(
        "StopSignal",
        json!(config.stop_signal),
        config.stop_signal.is_none(),
    );

    let mut file = json!({
        "architecture": super::or(&config.architecture, super::host_architecture()),
        "os": super::or(&config.os, "linux"),
        "config": run,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    for (name, value) in [("variant", &config.variant), ("created", &config.created)] {
        if let Some(value) = value {
            file[name] = value.clone().into();
        }
    }
    serde_json::to_vec(&file).expect("strings and lists are always JSON")
}

fn wrong(why: impl Into<String>) -> Error {
    let why = why.into();
    Error::new(
        ErrorKind::InvalidSpec,
        "image",
        format!("the image's configuration cannot be used: {why}"),
    )
}
