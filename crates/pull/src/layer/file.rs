//! A download on disk: it is appended to, hashed on the way, and held by one process at a time.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use agentkernel_types::Digest;
use sha2::{Digest as _, Sha256};

use crate::failure::{Outcome, from_io};

#[derive(Debug)]
pub(super) struct DownloadFile {
    file: File,
    path: PathBuf,
    hash: Sha256,
    /// Bytes that are there and hashed.
    length: u64,
    /// Answers that have contributed.
    pieces: u32,
}

impl DownloadFile {
    /// None: somebody else is at it. The kernel frees a claim when its process dies.
    pub(super) fn claim(path: &Path) -> io::Result<Option<Self>> {
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // The one who had it before may have removed it between our two steps.
            if file.metadata()?.nlink() > 0 {
                return Ok(Some(Self {
                    file,
                    path: path.to_owned(),
                    hash: Sha256::new(),
                    length: 0,
                    pieces: 0,
                }));
            }
        }
    }

    /// Takes up what an earlier attempt has left, if it can be the beginning of `size` bytes.
    pub(super) fn recall(&mut self, size: u64) -> io::Result<()> {
        let there = self.file.metadata()?.len();
        if there > size {
            return self.restart();
        }
        self.file.rewind()?;
        let mut buffer = vec![0; 256 << 10];
        while self.length < there {
            let read = match self.file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.hash.update(&buffer[..read]);
            self.length += read as u64;
        }
        // Nobody knows of how many answers it was made.
        self.pieces = if self.length > 0 { 2 } else { 0 };
        Ok(())
    }

    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.hash = Sha256::new();
        (self.length, self.pieces) = (0, 0);
        Ok(())
    }

    /// From now on comes another answer.
    pub(super) fn begin_piece(&mut self) {
        self.pieces += 1;
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            // A part of it may be there: the file must not be longer than what is hashed.
            let _ = self.file.set_len(self.length);
            let _ = self.file.seek(io::SeekFrom::Start(self.length));
            return Err(error);
        }
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Whether all of it came in one answer.
    pub(super) fn is_of_one_piece(&self) -> bool {
        self.pieces <= 1
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::from_sha256(self.hash.clone().finalize().into())
    }

    /// For reading it from its beginning.
    pub(super) fn rewind(&mut self) -> io::Result<&mut File> {
        self.file.rewind()?;
        Ok(&mut self.file)
    }

    /// While the claim is still held: whoever waits for it sees that the file has gone.
    pub(super) fn remove(&self) -> Outcome<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(from_io("a download", error)),
            _ => Ok(()),
        }
    }
}

impl Drop for DownloadFile {
    fn drop(&mut self) {
        // A child that was forked in between may still have the descriptor.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(path: &Path) -> DownloadFile {
        DownloadFile::claim(path)
            .expect("a writable folder")
            .expect("free")
    }

    fn sha256(bytes: &[u8]) -> Digest {
        Digest::from_sha256(Sha256::digest(bytes).into())
    }

    #[test]
    fn one_at_a_time_has_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.download");
        let first = claimed(&path);
        assert!(DownloadFile::claim(&path).expect("a writable folder").is_none());
        drop(first);
        claimed(&path);
    }

    #[test]
    fn a_removed_file_is_not_claimed_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.download");
        let first = claimed(&path);
        first.remove().expect("it is there");
        let second = claimed(&path);
        assert!(path.exists());
        drop((first, second));
    }

    #[test]
    fn what_is_there_counts_into_the_digest() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.download");
        fs::write(&path, b"hello ").expect("writable");
        let mut file = claimed(&path);
        file.recall(11).expect("readable");
        file.begin_piece();
        file.append(b"world").expect("writable");
        assert_eq!((file.length(), file.digest()), (11, sha256(b"hello world")));
        assert!(!file.is_of_one_piece());
        assert_eq!(fs::read(&path).expect("readable"), b"hello world");
    }

    #[test]
    fn more_than_the_whole_is_no_beginning() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.download");
        fs::write(&path, b"too much").expect("writable");
        let mut file = claimed(&path);
        file.recall(4).expect("readable");
        assert_eq!((file.length(), file.digest()), (0, sha256(b"")));
        assert_eq!(fs::metadata(&path).expect("there").len(), 0);
    }
}
