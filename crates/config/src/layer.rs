//! What one file says, parsed: every value with its place in the file.

use std::{collections::BTreeMap, ops::Range, path::PathBuf};

use agentkernel_types::{
    BackendName, ByteSize, GuestPath, ImageRef, Isolation, Profile, PullPolicy, Resources, SandboxName,
};

use crate::{
    Origin,
    file::{SourceFile, Trust},
    grants::Grant,
    limits::Limit,
    network::NetworkDraft,
};

#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub value: T,
    /// Bytes of the file's text.
    pub span: Range<usize>,
}

/// One `[[files]]` entry as written; nothing of the file system was looked at.
#[derive(Debug, Default)]
pub(crate) struct FileDraft {
    pub source: Option<At<String>>,
    pub dest: Option<At<GuestPath>>,
    pub mode: Option<At<u32>>,
}

/// `[build]` as written.
#[derive(Clone, Debug, Default)]
pub(crate) struct BuildDraft {
    pub context: Option<At<PathBuf>>,
    pub dockerfile: Option<At<PathBuf>>,
    pub target: Option<At<String>>,
    pub args: BTreeMap<String, String>,
    pub no_cache: bool,
}

/// One `[registries."HOST"]`.
#[derive(Clone, Debug)]
pub(crate) struct RegistryDraft {
    pub host: String,
    pub span: Range<usize>,
    pub insecure: bool,
    pub ca: Option<PathBuf>,
    pub mirrors: Vec<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Values {
    pub name: Option<At<SandboxName>>,
    pub image: Option<At<ImageRef>>,
    pub runtime: Option<At<String>>,
    pub agent: Option<At<String>>,
    pub profile: Option<At<Profile>>,
    pub grants: [Option<At<bool>>; 4],
    pub network: NetworkDraft,
    pub resources: Resources,
    pub limit_spans: [Option<Range<usize>>; 5],
    pub backend: Option<At<BackendName>>,
    pub isolation: Option<At<Isolation>>,
    pub files: Vec<FileDraft>,
    pub build: Option<BuildDraft>,
    pub pull: Option<At<PullPolicy>>,
    pub max_image_bytes: Option<At<ByteSize>>,
    pub parallel_layers: Option<At<u32>>,
    pub registries: Vec<RegistryDraft>,
}

impl Values {
    pub fn grant(&self, grant: Grant) -> Option<&At<bool>> {
        self.grants[grant as usize].as_ref()
    }

    pub fn limit(&self, limit: Limit) -> Option<&Range<usize>> {
        self.limit_spans[limit as usize].as_ref()
    }
}

#[derive(Debug)]
pub(crate) struct Layer {
    pub file: SourceFile,
    pub trust: Trust,
    pub values: Values,
}

impl Layer {
    pub fn origin(&self, span: &Range<usize>) -> Origin {
        let (path, line) = (self.file.path.clone(), self.file.line_of_span(span));
        match self.trust {
            Trust::User => Origin::UserFile { path, line },
            Trust::Found | Trust::Named => Origin::ProjectFile { path, line },
        }
    }
}
