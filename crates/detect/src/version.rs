//! Version numbers as projects pin them: one to three numbers and nothing else.

use std::fmt;

/// `22`, `3.12` or `1.85.0`. What is not of this form never gets into an image reference.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Version {
    numbers: [u32; 3],
    parts: usize,
}

impl Version {
    /// Takes a leading `v` away. None for anything but digits and dots, and for numbers above 99,999.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix('v').unwrap_or(text);
        let mut version = Self {
            numbers: [0; 3],
            parts: 0,
        };
        for part in text.split('.') {
            let digits = (1..=5).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
            // `1.08` is no tag, and `1.8` may not have been meant.
            let plain = part == "0" || !part.starts_with('0');
            if version.parts == 3 || !digits || !plain {
                return None;
            }
            version.numbers[version.parts] = part.parse().ok()?;
            version.parts += 1;
        }
        Some(version)
    }

    pub fn major(self) -> u32 {
        self.numbers[0]
    }

    pub fn series(self) -> (u32, u32) {
        (self.numbers[0], self.numbers[1])
    }

    pub fn parts(self) -> usize {
        self.parts
    }

    /// The first numbers only.
    pub fn cut(self, parts: usize) -> Self {
        Self {
            parts: self.parts.min(parts),
            ..self
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.numbers[..self.parts].iter().enumerate() {
            let dot = if index == 0 { "" } else { "." };
            write!(f, "{dot}{number}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_to_three_plain_numbers_are_a_version() {
        for good in ["22", "3.12", "1.85.0", "0.12", "v20.1.0", " 18 "] {
            let shown = good.trim().trim_start_matches('v');
            assert_eq!(
                Version::parse(good).map(|version| version.to_string()).as_deref(),
                Some(shown)
            );
        }
        for bad in [
            "", ".", "1.", ".1", "1..2", "1.2.3.4", "01", "1.08", "x", "1-2", "1/2", "1@2", "123456", "-1",
            "1 2", "١",
        ] {
            assert_eq!(Version::parse(bad), None, "{bad:?}");
        }
    }
}
