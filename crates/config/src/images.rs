//! How images are got, kept and built: the settings in force.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use agentkernel_types::{ByteSize, PullPolicy};

use crate::{
    Origin, Overrides, Setting,
    environment::PULL,
    layer::{At, Layer},
};

/// Only the user's own word counts here: a repository must not choose where programs come from.
#[derive(Clone, Debug, Default)]
pub struct ImageSettings {
    /// None: nobody said.
    pub pull: Option<Setting<PullPolicy>>,
    pub max_bytes: Option<Setting<ByteSize>>,
    pub parallel_layers: Option<Setting<u32>>,
    /// By `HOST` or `HOST:PORT`, in lower case.
    pub registries: BTreeMap<String, Setting<RegistrySettings>>,
    /// What the project builds.
    pub build: Option<BuildSettings>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RegistrySettings {
    pub insecure: bool,
    pub ca: Option<PathBuf>,
    pub mirrors: Vec<String>,
}

/// `[build]`, with absolute paths.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BuildSettings {
    pub context: PathBuf,
    /// None: the usual names in the context.
    pub dockerfile: Option<PathBuf>,
    pub target: Option<String>,
    pub args: BTreeMap<String, String>,
    pub no_cache: bool,
    /// The file that says so.
    pub file: PathBuf,
}

pub(crate) fn settings(
    flags: &Overrides,
    environment: &Overrides,
    user: Option<&Layer>,
    project: Option<&Layer>,
) -> ImageSettings {
    let flag = flags.pull.map(|pull| Setting::new(pull, Origin::Flag("--pull")));
    let variable = environment
        .pull
        .map(|pull| Setting::new(pull, Origin::Environment(PULL)));
    ImageSettings {
        pull: flag
            .or(variable)
            .or_else(|| from(user, |layer| &layer.values.pull)),
        max_bytes: from(user, |layer| &layer.values.max_image_bytes),
        parallel_layers: from(user, |layer| &layer.values.parallel_layers),
        registries: user.map_or_else(BTreeMap::new, registries),
        build: project.and_then(build),
    }
}

fn from<T: Clone>(layer: Option<&Layer>, pick: impl Fn(&Layer) -> &Option<At<T>>) -> Option<Setting<T>> {
    let layer = layer?;
    let at = pick(layer).as_ref()?;
    Some(Setting::new(at.value.clone(), layer.origin(&at.span)))
}

fn registries(user: &Layer) -> BTreeMap<String, Setting<RegistrySettings>> {
    let entries = user.values.registries.iter().map(|draft| {
        let settings = RegistrySettings {
            insecure: draft.insecure,
            ca: draft.ca.clone(),
            mirrors: draft.mirrors.clone(),
        };
        (
            draft.host.clone(),
            Setting::new(settings, user.origin(&draft.span)),
        )
    });
    entries.collect()
}

fn build(project: &Layer) -> Option<BuildSettings> {
    let draft = project.values.build.as_ref()?;
    let folder = project.file.path.parent().unwrap_or(Path::new("/"));
    Some(BuildSettings {
        context: match &draft.context {
            Some(context) => folder.join(&context.value),
            None => folder.to_owned(),
        },
        dockerfile: draft.dockerfile.as_ref().map(|file| file.value.clone()),
        target: draft.target.as_ref().map(|target| target.value.clone()),
        args: draft.args.clone(),
        no_cache: draft.no_cache,
        file: project.file.path.clone(),
    })
}
