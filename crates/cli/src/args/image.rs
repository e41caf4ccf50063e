//! `image`: images and their store.

use std::path::PathBuf;

use agentkernel_types::{ByteSize, PullPolicy};
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};

#[derive(Args, Debug)]
pub struct ImageArgs {
    #[command(subcommand)]
    pub command: ImageCommand,
}

#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Fetch images from their registries
    Pull(ImagePullArgs),
    /// Take an image out of an archive, a folder or stdin
    Import(ImageImportArgs),
    /// Write an image as an archive
    Export(ImageExportArgs),
    /// Take an image over from docker or podman on this machine
    Load(ImageLoadArgs),
    /// Build an image with docker, podman or buildah, unless it has been built before
    Build(ImageBuildArgs),
    /// List the images
    #[command(visible_alias = "ls")]
    List(ImageListArgs),
    /// Show everything about an image, as JSON
    Inspect(ImageInspectArgs),
    /// Remove names; with its last name goes the image
    #[command(visible_alias = "rm")]
    Remove(ImageRemoveArgs),
    /// Remove images that are in no use
    Prune(ImagePruneArgs),
    /// Write down which digests the project's images stand for now, in agentkernel.lock
    Lock(ImageLockArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "Example: agentkernel image pull python:3.12-alpine ghcr.io/owner/tool@sha256:...")]
pub struct ImagePullArgs {
    /// As with docker: [REGISTRY[:PORT]/]NAME[:TAG][@DIGEST]
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    /// No progress
    #[arg(short, long)]
    pub quiet: bool,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Takes what `docker save` writes, OCI layouts (folders or archives) and plain root file systems; \
                        compressed with gzip or zstd, or not.\n\
                        Example: docker save app | agentkernel image import -"
)]
pub struct ImageImportArgs {
    /// An archive, a folder with an OCI layout, or - for stdin
    #[arg(value_name = "FILE")]
    pub from: PathBuf,
    /// The image's name [default: the one in the archive]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// For a plain root file system: what it runs by default, as one word each
    #[arg(long = "cmd", value_name = "WORD")]
    pub cmd: Vec<String>,
    /// For a plain root file system: a variable
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,
    /// For a plain root file system: the working directory
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// For a plain root file system: the user
    #[arg(short, long, value_name = "NAME|UID[:GROUP]")]
    pub user: Option<String>,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Example: agentkernel image export app:1 -o app.tar")]
pub struct ImageExportArgs {
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// The file [default: stdout, if it is no terminal]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[arg(long, value_parser = ["docker", "oci"], default_value = "docker")]
    pub format: String,
}

#[derive(Args, Debug)]
#[command(after_help = "Example: agentkernel image load --from podman localhost/app:1")]
pub struct ImageLoadArgs {
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// The engine [default: the first that has the image]
    #[arg(long, value_parser = ["docker", "podman"])]
    pub from: Option<String>,
    /// No progress
    #[arg(short, long)]
    pub quiet: bool,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(
    after_help = "The same Dockerfile, context and arguments are not built twice. Without flags the [build] table \
                        of agentkernel.toml says what to build.\n\
                        Example: agentkernel image build -t app:1 --build-arg VERSION=1 ."
)]
pub struct ImageBuildArgs {
    /// The folder that the build sees [default: the one of agentkernel.toml's [build], or .]
    #[arg(value_name = "CONTEXT")]
    pub context: Option<PathBuf>,
    /// The Dockerfile [default: Dockerfile or Containerfile in the context]
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// A name for the image
    #[arg(short, long = "tag", value_name = "NAME")]
    pub tag: Option<String>,
    /// A build argument
    #[arg(long = "build-arg", value_name = "NAME=VALUE", value_parser = variable)]
    pub args: Vec<(String, String)>,
    /// The stage to build
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// What builds [default: the first that is here]
    #[arg(long, value_parser = ["docker", "podman", "buildah"])]
    pub builder: Option<String>,
    /// Build even if the same image has been built before, and without the builder's own cache
    #[arg(long)]
    pub no_cache: bool,
    /// The project's configuration file [default: the nearest agentkernel.toml]
    #[arg(short, long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Do not show what the builder says
    #[arg(short, long)]
    pub quiet: bool,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct ImageListArgs {
    /// Names only (ids where there is no name)
    #[arg(short, long, conflicts_with = "json")]
    pub quiet: bool,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct ImageInspectArgs {
    /// A name, an id or the beginning of one
    #[arg(value_name = "IMAGE")]
    pub image: String,
}

#[derive(Args, Debug)]
pub struct ImageRemoveArgs {
    /// Names, ids or beginnings of ids
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Also an image with several names, given by its id; and no error if there is none
    #[arg(short, long)]
    pub force: bool,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Images of sandboxes, running or kept, always stay.\n\
                        Example: agentkernel image prune --keep 20g")]
pub struct ImagePruneArgs {
    /// Also images that have a name
    #[arg(short, long, conflicts_with = "keep")]
    pub all: bool,
    /// Remove the least recently used ones until no more than this is taken, as in 20g
    #[arg(long, value_name = "SIZE")]
    pub keep: Option<ByteSize>,
    /// Only say what would go
    #[arg(long)]
    pub dry_run: bool,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Runs in the project then use these digests, whatever the names come to stand for. Commit the file.\n\
                        Example: agentkernel image lock --update python:3.12-alpine"
)]
pub struct ImageLockArgs {
    /// [default: the project's image, and those that are locked already]
    #[arg(value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Ask again for images that are locked already
    #[arg(long)]
    pub update: bool,
    #[arg(long)]
    pub json: bool,
}

/// How `run` and `create` get an image.
#[derive(Args, Debug, Default)]
pub struct PullArgs {
    /// When to ask the registry for the image
    #[arg(long = "pull", value_name = "POLICY", value_parser = policies())]
    pub policy: Option<PullPolicy>,
}

fn policies() -> impl TypedValueParser<Value = PullPolicy> {
    PossibleValuesParser::new(PullPolicy::ALL.map(PullPolicy::as_str))
        .try_map(|name| name.parse::<PullPolicy>())
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

impl ImageCommand {
    pub fn wants_json(&self) -> bool {
        match self {
            Self::Pull(args) => args.json,
            Self::Import(args) => args.json,
            Self::Load(args) => args.json,
            Self::Build(args) => args.json,
            Self::List(args) => args.json,
            Self::Remove(args) => args.json,
            Self::Prune(args) => args.json,
            Self::Lock(args) => args.json,
            Self::Inspect(_) => true,
            Self::Export(_) => false,
        }
    }
}
