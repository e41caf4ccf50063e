//! Layers: several downloads at once, each unpacked while others still come in.

mod download;
mod file;

use std::{
    io::{self, Read},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use agentkernel_image::{Error, Writer, manifest::Descriptor, unpack::Limits};
use agentkernel_types::{Digest, ErrorKind, LayerState};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::sync::Semaphore;

use crate::{
    Progress,
    failure::{Failure, Outcome, Reason, from_io},
    progress::LayerProgress,
    registry::Session,
};
use download::Download;
use file::DownloadFile;

/// How often we look whether another process has finished.
const LOOK: Duration = Duration::from_millis(50);

/// One layer to be had.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Compressed.
    pub(crate) descriptor: Descriptor,
    /// Not compressed: its name in the store.
    pub(crate) diff_id: Digest,
}

pub(crate) struct Layers<'a> {
    /// The one that had the manifest comes first.
    pub(crate) sessions: &'a [Session<'a>],
    pub(crate) writer: Arc<Writer>,
    pub(crate) limits: Limits,
    /// For messages.
    pub(crate) image: String,
    pub(crate) progress: &'a Progress,
    downloads: Semaphore,
    unpacking: Semaphore,
    stop: Stop,
}

impl<'a> Layers<'a> {
    pub(crate) fn new(
        sessions: &'a [Session<'a>],
        writer: Arc<Writer>,
        limits: Limits,
        image: String,
        progress: &'a Progress,
    ) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            sessions,
            writer,
            limits,
            image,
            progress,
            downloads: Semaphore::new(3),
            unpacking: Semaphore::new(processors),
            stop: Stop::default(),
        }
    }

    pub(crate) fn parallel(mut self, downloads: usize) -> Self {
        self.downloads = Semaphore::new(downloads.clamp(1, 64));
        self
    }

    /// Puts all of them into the store. The first failure ends it; what is there of the others can be gone on with.
    pub(crate) async fn fetch(&self, wanted: &[Wanted]) -> Outcome<()> {
        let mut running: FuturesUnordered<_> = wanted.iter().map(|layer| self.layer(layer)).collect();
        while let Some(done) = running.next().await {
            done?;
        }
        Ok(())
    }

    async fn layer(&self, wanted: &Wanted) -> Outcome<()> {
        let mut progress = LayerProgress::new(self.progress, &wanted.descriptor.digest);
        if self.is_present(wanted).await? {
            progress.state(LayerState::Present);
            return Ok(());
        }
        let mut waiting = false;
        let (turn, file) = loop {
            let turn = self
                .downloads
                .acquire()
                .await
                .expect("the semaphore is never closed");
            if let Some(file) = self.claim(wanted).await? {
                break (turn, file);
            }
            // Others of ours may go on in the meantime.
            drop(turn);
            if !waiting {
                waiting = true;
                progress.state(LayerState::Waiting);
            }
            tokio::time::sleep(LOOK).await;
        };
        if self.is_present(wanted).await? {
            blocking(move || file.remove()).await?;
            progress.state(LayerState::Present);
            return Ok(());
        }
        let file = Arc::new(Mutex::new(file));
        let download = Download {
            descriptor: &wanted.descriptor,
            image: &self.image,
            file: Arc::clone(&file),
        };
        download.run(self.sessions, &mut progress).await?;
        drop(download);
        drop(turn);
        let _turn = self
            .unpacking
            .acquire()
            .await
            .expect("the semaphore is never closed");
        progress.state(LayerState::Unpacking);
        self.unpack(wanted, file).await?;
        progress.state(LayerState::Done);
        Ok(())
    }

    async fn is_present(&self, wanted: &Wanted) -> Outcome<bool> {
        let (writer, diff_id) = (Arc::clone(&self.writer), wanted.diff_id.clone());
        blocking(move || writer.layer(&diff_id).map_err(stored))
            .await
            .map(|layer| layer.is_some())
    }

    async fn claim(&self, wanted: &Wanted) -> Outcome<Option<DownloadFile>> {
        let path = self.path(wanted);
        blocking(move || DownloadFile::claim(&path).map_err(|error| from_io("a download", error))).await
    }

    fn path(&self, wanted: &Wanted) -> PathBuf {
        self.writer
            .incoming()
            .join(format!("{}.download", wanted.descriptor.digest.hex()))
    }

    /// Keeps the claim on the file until the layer is there, so that whoever waits finds it.
    async fn unpack(&self, wanted: &Wanted, file: Arc<Mutex<DownloadFile>>) -> Outcome<()> {
        let (writer, diff_id, limits) = (Arc::clone(&self.writer), wanted.diff_id.clone(), self.limits);
        let stopped = self.stop.flag();
        blocking(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let archive = file.rewind().map_err(|error| from_io("a download", error))?;
            let mut archive = Stoppable {
                archive,
                stopped: &stopped,
            };
            let added = writer.add_layer(Some(&diff_id), &mut archive, &limits);
            if stopped.load(Ordering::Relaxed) {
                // The file is complete: the next pull unpacks it.
                return added.map(drop).map_err(stored);
            }
            let removed = file.remove();
            added.map_err(stored).and(removed)
        })
        .await
    }
}

/// Work for a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> Outcome<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Failure::new(Reason::Storage, "the pull was stopped")),
        },
    }
}

/// What the store says about a layer or an image.
pub(crate) fn stored(error: Error) -> Failure {
    let of_digest = error.field() == Some("digest");
    let reason = match error.kind() {
        _ if of_digest => Reason::Digest,
        ErrorKind::InvalidSpec | ErrorKind::Unsupported => Reason::Protocol,
        _ => Reason::Storage,
    };
    Failure::from_error(reason, error)
}

/// Ends what runs in other threads when the pull is dropped.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Stop {
    fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Stoppable<'a, R> {
    archive: R,
    stopped: &'a AtomicBool,
}

impl<R: Read> Read for Stoppable<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(io::Error::other("the pull was stopped"));
        }
        self.archive.read(into)
    }
}
