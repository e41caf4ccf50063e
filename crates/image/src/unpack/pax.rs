//! The records that precede an entry and overrule its header (POSIX pax, and what GNU and star have added).
//!
//! Own code, because values are bytes with a length: an attribute may hold a line break, and a reader that splits
//! lines loses all that follows, the size of the entry first of all.

use super::{fault::Fault, sparse::Map};

const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";

#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    /// Seconds and nanoseconds.
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: Map,
}

impl Records {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let mut records = Self::default();
        for record in split(bytes) {
            let (key, value) = record?;
            records.take(key, value)?;
        }
        Ok(records)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        if let Some(name) = key.strip_prefix(ATTRIBUTE) {
            return self.attribute(name, value);
        }
        if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
            return self.sparse.take(key, value);
        }
        match key {
            b"path" => self.path = text(key, value)?,
            b"linkpath" => self.link = text(key, value)?,
            b"size" => self.size = number(key, value)?,
            b"uid" => self.uid = number(key, value)?,
            b"gid" => self.gid = number(key, value)?,
            b"mtime" => self.mtime = time(value)?,
            // Names of owners, other times, character sets, what others have invented: not used.
            _ => {}
        }
        Ok(())
    }

    fn attribute(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        if name.is_empty() || name.len() > 255 || name.contains(&0) {
            return Err(Fault::malformed("the name of an extended attribute cannot be"));
        }
        self.attributes.retain(|(other, _)| other != name);
        self.attributes.push((name.to_vec(), value.to_vec()));
        Ok(())
    }
}

/// Whether a global header says something about names, sizes or content. Docker ignores them and GNU tar does not,
/// so that one archive would be two.
pub(super) fn overrules_all(bytes: &[u8]) -> Result<bool, Fault> {
    let strong =
        |key: &[u8]| matches!(key, b"path" | b"linkpath" | b"size") || key.starts_with(b"GNU.sparse.");
    for record in split(bytes) {
        if strong(record?.0) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `LENGTH KEY=VALUE\n`, where the length counts all of it.
fn split(mut rest: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8]), Fault>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let record = first(rest);
        rest = record.as_ref().map_or(&[], |&(_, _, rest)| rest);
        Some(
            record
                .map(|(key, value, _)| (key, value))
                .ok_or_else(|| Fault::malformed("its extension records are malformed")),
        )
    })
}

fn first(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|&byte| byte == b' ')?;
    let length = usize::try_from(decimal(&bytes[..space])?).ok()?;
    if length > bytes.len() || length < space + 3 {
        return None;
    }
    let (record, rest) = bytes.split_at(length);
    let body = record[space + 1..].strip_suffix(b"\n")?;
    let equals = body.iter().position(|&byte| byte == b'=')?;
    (equals > 0).then(|| (&body[..equals], &body[equals + 1..], rest))
}

/// An empty value takes the record back: the header counts.
fn text(key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    if value.contains(&0) {
        return Err(Fault::denied(format!(
            "its {} record has a zero byte",
            key.escape_ascii()
        )));
    }
    Ok((!value.is_empty()).then(|| value.to_vec()))
}

fn number(key: &[u8], value: &[u8]) -> Result<Option<u64>, Fault> {
    if value.is_empty() {
        return Ok(None);
    }
    let number = decimal(value)
        .ok_or_else(|| Fault::malformed(format!("its {} record is not a number", key.escape_ascii())))?;
    Ok(Some(number))
}

/// Digits and nothing else.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

/// `-12.345`: seconds since 1970. Beyond nanoseconds is cut towards the past.
fn time(value: &[u8]) -> Result<Option<(i64, u32)>, Fault> {
    if value.is_empty() {
        return Ok(None);
    }
    let parsed = (|| {
        let (negative, value) = match value.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, value),
        };
        let mut parts = value.splitn(2, |&byte| byte == b'.');
        let seconds = i64::try_from(decimal(parts.next()?)?).ok()?;
        let fraction = parts.next().unwrap_or_default();
        if !fraction.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let digits = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(9);
        let nanoseconds = digits.fold(0u32, |value, digit| value * 10 + u32::from(digit - b'0'));
        Some(match (negative, nanoseconds) {
            (false, _) => (seconds, nanoseconds),
            (true, 0) => (-seconds, 0),
            (true, _) => (-seconds - 1, 1_000_000_000 - nanoseconds),
        })
    })();
    parsed
        .map(Some)
        .ok_or_else(|| Fault::malformed("its mtime record is not a time"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
        let rest = key.len() + value.len() + 3;
        let length = (1..)
            .find(|digits| (rest + digits).to_string().len() == *digits)
            .unwrap()
            + rest;
        [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
    }

    #[test]
    fn an_attribute_with_line_breaks_does_not_hide_what_follows() {
        let bytes = [
            record(b"SCHILY.xattr.user.a", b"1\n9 size=1\n"),
            record(b"size", b"7"),
        ]
        .concat();
        let records = Records::parse(&bytes).unwrap();
        assert_eq!(records.size, Some(7));
        assert_eq!(
            records.attributes,
            [(b"user.a".to_vec(), b"1\n9 size=1\n".to_vec())]
        );
    }

    #[test]
    fn times_have_fractions_and_signs() {
        assert_eq!(time(b"12.5").unwrap(), Some((12, 500_000_000)));
        assert_eq!(time(b"-1.25").unwrap(), Some((-2, 750_000_000)));
        assert_eq!(time(b"-3").unwrap(), Some((-3, 0)));
        assert_eq!(time(b"").unwrap(), None);
        for wrong in [&b"1.2.3"[..], b"x", b"1e9", b"--1", b"99999999999999999999"] {
            assert!(time(wrong).is_err(), "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn lies_about_lengths_are_refused() {
        for wrong in [
            &b"5 a=b\n"[..],
            b"7 a=b\n",
            b"6 a=b\x00",
            b"a=b\n",
            b"99999999999999999999999 a=b\n",
            b"3 =\n",
            b"4 =\n",
            b"5 ab\n",
            b"-6 a=b\n",
            b"6 a=b\nrest",
        ] {
            assert!(Records::parse(wrong).is_err(), "{}", wrong.escape_ascii());
        }
        assert!(Records::parse(b"6 a=b\n").is_ok());
        assert!(Records::parse(&record(b"path", b"a\0b")).is_err());
        assert!(Records::parse(&record(b"size", b"-1")).is_err());
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Records::parse(&bytes);
        }

        #[test]
        fn what_was_written_is_read(value in proptest::collection::vec(any::<u8>(), 0..300)) {
            let bytes = [record(b"SCHILY.xattr.user.x", &value), record(b"uid", b"12")].concat();
            let records = Records::parse(&bytes).unwrap();
            prop_assert_eq!(&records.attributes[0].1, &value);
            prop_assert_eq!(records.uid, Some(12));
        }
    }
}
