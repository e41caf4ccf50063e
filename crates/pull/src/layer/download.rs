//! Brings one file to its full length, over as many answers and sources as it takes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentkernel_image::manifest::Descriptor;
use bytes::Bytes;
use reqwest::{Method, Response, StatusCode, header::CONTENT_RANGE};
use tokio::sync::mpsc;

use super::{blocking, file::DownloadFile};
use crate::{
    failure::{Again, Failure, Outcome, Reason, from_io},
    manifest::damaged,
    progress::LayerProgress,
    registry::{Ask, Session},
    retry::Attempts,
};

/// Chunks between the network and the disk, of some 10 KiB each.
const QUEUE: usize = 32;
/// So much more than ever before counts as progress: a registry cannot keep us busy byte by byte.
const PROGRESS: u64 = 1 << 20;

pub(super) struct Download<'a> {
    pub(super) descriptor: &'a Descriptor,
    /// For messages.
    pub(super) image: &'a str,
    pub(super) file: Arc<Mutex<DownloadFile>>,
}

impl Download<'_> {
    /// Afterwards the file has every byte that the digest stands for. A failure leaves what can be gone on with.
    pub(super) async fn run(&self, sessions: &[Session<'_>], progress: &mut LayerProgress) -> Outcome<()> {
        self.on_disk({
            let size = self.descriptor.size;
            move |file| file.recall(size)
        })
        .await?;
        let mut last = None;
        for session in sessions {
            match self.from(session, progress).await {
                Ok(()) => return Ok(()),
                // Another source has the same disk.
                Err(failure) if failure.reason == Reason::Storage => {
                    last = Some(failure);
                    break;
                }
                Err(failure) => last = Some(failure),
            }
        }
        if self.file().length() == 0 {
            self.file().remove()?;
        }
        Err(last.expect("there is at least the registry itself"))
    }

    async fn from(&self, session: &Session<'_>, progress: &mut LayerProgress) -> Outcome<()> {
        let all = progress.progress().clone();
        let what = format!("layer {}", self.descriptor.digest.short());
        let mut attempts = Attempts::new(session.patience, &all, what);
        let mut farthest = self.file().length();
        loop {
            let failure = match self.attempt(session, progress).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            let length = self.file().length();
            if length >= farthest.saturating_add(PROGRESS) {
                farthest = length;
                attempts.progressed();
            }
            attempts.pause(failure, session.reached()).await?;
        }
    }

    async fn attempt(&self, session: &Session<'_>, progress: &mut LayerProgress) -> Outcome<()> {
        let from = self.file().length();
        progress.downloaded(from, self.descriptor.size);
        if from < self.descriptor.size {
            let ask = Ask {
                method: Method::GET,
                url: session.endpoint.url("blobs", self.descriptor.digest.as_str()),
                accept: None,
                from,
                what: self.image.to_owned(),
            };
            let response = session.ask(&ask).await?;
            self.prepare(session, &response, from).await?;
            self.receive(session, response, progress).await?;
        }
        self.compare(session).await
    }

    /// Lets the file end where the answer begins.
    async fn prepare(&self, session: &Session<'_>, response: &Response, from: u64) -> Outcome<()> {
        let size = self.descriptor.size;
        let (name, short) = (session.name(), self.descriptor.digest.short());
        match response.status() {
            StatusCode::PARTIAL_CONTENT if from > 0 && starts_at(response, from) => {}
            // It does not know ranges.
            StatusCode::OK => {
                if let Some(length) = response.content_length().filter(|length| *length != size) {
                    return Err(damaged(format!(
                        "the registry {name} has {length} bytes instead of {size} for layer {short}"
                    )));
                }
                self.on_disk(DownloadFile::restart).await?;
            }
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                self.on_disk(DownloadFile::restart).await?;
                let message = format!("the registry {name} does not have the rest of layer {short}");
                return Err(Failure::new(Reason::Protocol, message).again(Again::Soon));
            }
            status => {
                let message = format!(
                    "the registry {name} answers {} for layer {short}",
                    status.as_u16()
                );
                return Err(Failure::new(Reason::Protocol, message));
            }
        }
        self.file().begin_piece();
        Ok(())
    }

    /// The network is read here; a thread hashes and writes, so that neither waits for the other.
    async fn receive(
        &self,
        session: &Session<'_>,
        response: Response,
        progress: &mut LayerProgress,
    ) -> Outcome<()> {
        let (sender, mut receiver) = mpsc::channel::<Bytes>(QUEUE);
        let already = self.file().length();
        let writing = self.on_disk(move |file| {
            while let Some(chunk) = receiver.blocking_recv() {
                file.append(&chunk)?;
            }
            Ok(())
        });
        let receiving = self.forward(session, response, already, sender, progress);
        let (written, received) = tokio::join!(writing, receiving);
        // A full disk is also why nothing more could be forwarded.
        written.and(received)
    }

    async fn forward(
        &self,
        session: &Session<'_>,
        mut response: Response,
        already: u64,
        sender: mpsc::Sender<Bytes>,
        progress: &mut LayerProgress,
    ) -> Outcome<()> {
        let size = self.descriptor.size;
        let mut length = already;
        while let Some(chunk) = session.chunk(&mut response).await? {
            length += chunk.len() as u64;
            if length > size {
                return Err(self.wrong(session, &format!("more than its {size} bytes")));
            }
            if sender.send(chunk).await.is_err() {
                // The writer says why.
                return Ok(());
            }
            progress.downloaded(length, size);
        }
        if length < size {
            let message = format!(
                "the registry {} sent {length} of {size} bytes of a layer",
                session.name()
            );
            return Err(Failure::new(Reason::Protocol, message).again(Again::Soon));
        }
        Ok(())
    }

    async fn compare(&self, session: &Session<'_>) -> Outcome<()> {
        let (found, one_piece) = {
            let file = self.file();
            (file.digest(), file.is_of_one_piece())
        };
        if found == self.descriptor.digest {
            return Ok(());
        }
        self.on_disk(DownloadFile::restart).await?;
        let failure = self.wrong(session, "something else");
        // The pieces may each be right, but not of the same blob: a crash has left zeros, or a proxy has lied.
        Err(if one_piece {
            failure
        } else {
            failure.again(Again::Soon)
        })
    }

    fn wrong(&self, session: &Session<'_>, what: &str) -> Failure {
        let short = self.descriptor.digest.short();
        damaged(format!(
            "the registry {} sends {what} for layer {short}",
            session.name()
        ))
    }

    /// In a thread of its own.
    fn on_disk(
        &self,
        work: impl FnOnce(&mut DownloadFile) -> std::io::Result<()> + Send + 'static,
    ) -> impl Future<Output = Outcome<()>> + Send + 'static {
        let file = Arc::clone(&self.file);
        blocking(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut file).map_err(|error| from_io("a download", error))
        })
    }

    /// Never held while a thread is at it, so this does not wait.
    fn file(&self) -> MutexGuard<'_, DownloadFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `Content-Range: bytes FROM-...`. One that says nothing is believed: the digest decides.
fn starts_at(response: &Response, from: u64) -> bool {
    let Some(range) = response.headers().get(CONTENT_RANGE) else {
        return true;
    };
    let text = range.to_str().unwrap_or_default();
    let start = text
        .strip_prefix("bytes ")
        .and_then(|rest| rest.split('-').next());
    start.and_then(|start| start.trim().parse().ok()) == Some(from)
}
