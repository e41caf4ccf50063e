//! Files in and out of a sandbox as tar streams. Nothing is buffered whole, and neither end trusts the other.

mod header;
mod incoming;
mod outgoing;
mod pax;
mod unpack;

use agentkernel_backend::{Context, FileStat, Result};
use agentkernel_control::ByteStream;
use agentkernel_types::{GuestPath, SandboxName};
use tokio::sync::mpsc;

use crate::{Engine, inject::facet};

/// How many entries an archive may have in either direction.
const MAX_ENTRIES: u64 = 1_000_000;
/// How many folders deep an entry may lie.
const MAX_DEPTH: usize = 256;
const BLOCK: usize = 512;

impl Engine {
    pub(crate) async fn copy_out_of(&self, name: &SandboxName, path: &GuestPath) -> Result<ByteStream> {
        let cx = copying();
        let sandbox = self.running(&cx, name).await?.sandbox;
        // Asked here, so that a missing path is an error of the call and not of the stream.
        let stat = facet(&sandbox)?.stat(&cx, path).await?;
        let (sender, archive) = mpsc::channel(8);
        let path = path.clone();
        tokio::spawn(async move {
            let packed = match facet(&sandbox) {
                Ok(files) => outgoing::pack(&cx, files, path, stat, &sender).await,
                Err(error) => Err(error),
            };
            if let Err(error) = packed {
                // Whoever asked may have gone.
                let _ = sender.send(Err(error)).await;
            }
        });
        Ok(archive)
    }

    pub(crate) async fn copy_into(
        &self,
        name: &SandboxName,
        path: &GuestPath,
        archive: ByteStream,
    ) -> Result<()> {
        let cx = copying();
        let sandbox = self.running(&cx, name).await?.sandbox;
        unpack::unpack(&cx, facet(&sandbox)?, path, archive).await
    }

    pub(crate) async fn stat_in(&self, name: &SandboxName, path: &GuestPath) -> Result<FileStat> {
        let cx = Context::default();
        let sandbox = self.running(&cx, name).await?.sandbox;
        facet(&sandbox)?.stat(&cx, path).await
    }
}

/// A copy takes as long as its bytes take.
fn copying() -> Context {
    Context::within(std::time::Duration::from_secs(24 * 3600))
}
