//! The records of a POSIX pax extended header: `LENGTH KEY=VALUE` lines.

use agentkernel_backend::Result;

use super::header::{Header, malformed};

/// How long an extended header may be.
pub(super) const MAX_LENGTH: u64 = 1 << 20;

/// Changes what the next header says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Overrides {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    size: Option<u64>,
    modified: Option<i64>,
}

impl Overrides {
    pub(super) fn parse(&mut self, mut records: &[u8]) -> Result<()> {
        while !records.is_empty() && records[0] != 0 {
            let wrong = || malformed("an extended header cannot be read");
            let space = records
                .iter()
                .take(20)
                .position(|&byte| byte == b' ')
                .ok_or_else(wrong)?;
            let length: usize = ascii(&records[..space]).ok_or_else(wrong)?;
            if length <= space + 1 || length > records.len() || records[length - 1] != b'\n' {
                return Err(wrong());
            }
            let record = &records[space + 1..length - 1];
            let equals = record.iter().position(|&byte| byte == b'=').ok_or_else(wrong)?;
            self.take(&record[..equals], &record[equals + 1..])?;
            records = &records[length..];
        }
        Ok(())
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(ascii(value).ok_or_else(|| malformed("a size is no number"))?),
            b"mtime" => {
                let whole = value.split(|&byte| byte == b'.').next().unwrap_or_default();
                self.modified = Some(ascii(whole).ok_or_else(|| malformed("a time is no number"))?);
            }
            // What would be a file full of holes cannot be read as a plain one.
            key if key.starts_with(b"GNU.sparse.") => {
                return Err(malformed("sparse files are not supported"));
            }
            // Owners, comments, attributes: not ours to keep.
            _ => {}
        }
        Ok(())
    }

    pub(super) fn apply(self, header: &mut Header) {
        if let Some(path) = self.path {
            header.path = path;
        }
        if let Some(link) = self.link {
            header.link = link;
        }
        header.size = self.size.unwrap_or(header.size);
        header.modified = self.modified.unwrap_or(header.modified);
    }
}

fn ascii<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// One record, whose length counts itself.
pub(super) fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_length() {
        for length in [0, 1, 80, 88, 89, 90, 91, 92, 93, 94, 985, 986, 987, 990, 5000] {
            let value = vec![b'x'; length];
            let record = record("path", &value);
            let mut overrides = Overrides::default();
            overrides.parse(&record).expect("our own record can be read");
            assert_eq!(overrides.path, Some(value));
        }
    }

    #[test]
    fn a_malformed_record_is_refused() {
        for text in [
            "x",
            "5",
            "9999 path=x\n",
            "3 \n",
            "-1 path=x\n",
            "0 path=x\n",
            "10 path=xyz",
            "8 pathx\n",
        ] {
            assert!(Overrides::default().parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_sparse_file_is_refused() {
        assert!(
            Overrides::default()
                .parse(&record("GNU.sparse.major", b"1"))
                .is_err()
        );
    }
}
