//! `agentkernel image`: images and their store.

mod build;
mod export;
mod import;
mod lock;
mod pull;
mod shelf;

pub use build::{built, built_before, wanted};

use super::Connect;
use crate::{args::ImageCommand, failure::Outcome};

pub async fn image(command: ImageCommand, connect: Connect) -> Outcome {
    match command {
        ImageCommand::Pull(args) => pull::pull(args, connect).await,
        ImageCommand::Import(args) => import::import(args, connect).await,
        ImageCommand::Export(args) => export::export(args, connect).await,
        ImageCommand::Load(args) => import::load(args, connect).await,
        ImageCommand::Build(args) => build::build(args, connect).await,
        ImageCommand::List(args) => shelf::list(args, connect).await,
        ImageCommand::Inspect(args) => shelf::inspect(args, connect).await,
        ImageCommand::Remove(args) => shelf::remove(args, connect).await,
        ImageCommand::Prune(args) => shelf::prune(args, connect).await,
        ImageCommand::Lock(args) => lock::lock(args, connect).await,
    }
}
