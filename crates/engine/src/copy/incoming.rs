//! Reads the entries of an archive from a stream, whatever the chunks are.

use agentkernel_backend::Result;
use agentkernel_control::ByteStream;
use bytes::{Buf, Bytes};

use super::{
    BLOCK, MAX_ENTRIES,
    header::{Header, malformed},
    pax::{MAX_LENGTH, Overrides},
};

pub(super) struct Incoming {
    stream: ByteStream,
    chunk: Bytes,
    /// What is left of the present entry, and then of its last block.
    left: u64,
    padding: u64,
    entries: u64,
}

impl Incoming {
    pub(super) fn new(stream: ByteStream) -> Self {
        Self {
            stream,
            chunk: Bytes::new(),
            left: 0,
            padding: 0,
            entries: 0,
        }
    }

    /// The next entry with all its extensions; None at the end of the archive.
    pub(super) async fn next(&mut self) -> Result<Option<Header>> {
        let mut overrides = Overrides::default();
        loop {
            self.skip().await?;
            let Some(mut header) = self.header().await? else {
                return Ok(None);
            };
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return Err(malformed(format_args!("it has more than {MAX_ENTRIES} entries")));
            }
            match header.kind {
                b'x' => overrides.parse(&self.extension(header.size).await?)?,
                // Holds for all that follow: a comment, mostly. What it could say of a file it may not say of all.
                b'g' => drop(self.extension(header.size).await?),
                b'L' => overrides.path = Some(self.long_name(header.size).await?),
                b'K' => overrides.link = Some(self.long_name(header.size).await?),
                _ => {
                    overrides.apply(&mut header);
                    // Only files have content; others may carry a size all the same.
                    let size = if matches!(header.kind, b'0' | 0 | b'7') {
                        header.size
                    } else {
                        0
                    };
                    self.begin(size)?;
                    return Ok(Some(header));
                }
            }
        }
    }

    /// The next bytes of the present entry; None at its end.
    pub(super) async fn content(&mut self) -> Result<Option<Bytes>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.fill().await?;
        let length = self.left.min(self.chunk.len() as u64);
        self.left -= length;
        Ok(Some(self.chunk.split_to(length as usize)))
    }

    fn begin(&mut self, size: u64) -> Result<()> {
        if size > i64::MAX as u64 {
            return Err(malformed("an entry is too big"));
        }
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        Ok(())
    }

    async fn skip(&mut self) -> Result<()> {
        while self.content().await?.is_some() {}
        self.left = std::mem::take(&mut self.padding);
        while self.content().await?.is_some() {}
        Ok(())
    }

    async fn header(&mut self) -> Result<Option<Header>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            if self.chunk.is_empty() && !self.receive().await? {
                // Some writers leave out the zeros at the end.
                return if filled == 0 {
                    Ok(None)
                } else {
                    Err(malformed("it ends in the middle of a header"))
                };
            }
            let length = self.chunk.len().min(BLOCK - filled);
            self.chunk.copy_to_slice(&mut block[filled..filled + length]);
            filled += length;
        }
        let header = Header::parse(&block)?;
        if header.is_none() {
            // What comes after the end does not matter, but whoever sends it must not wait.
            while self.receive().await? {}
        }
        Ok(header)
    }

    async fn extension(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > MAX_LENGTH {
            return Err(malformed("an extended header is too long"));
        }
        self.begin(size)?;
        let mut whole = Vec::new();
        while let Some(chunk) = self.content().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole)
    }

    async fn long_name(&mut self, size: u64) -> Result<Vec<u8>> {
        let mut name = self.extension(size).await?;
        name.truncate(name.iter().position(|&byte| byte == 0).unwrap_or(name.len()));
        Ok(name)
    }

    async fn fill(&mut self) -> Result<()> {
        while self.chunk.is_empty() {
            if !self.receive().await? {
                return Err(malformed("it ends in the middle of an entry"));
            }
        }
        Ok(())
    }

    async fn receive(&mut self) -> Result<bool> {
        match self.stream.recv().await {
            Some(chunk) => {
                self.chunk = chunk?;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}
