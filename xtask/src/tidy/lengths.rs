//! A file has one reason to exist, and about 150 lines.

use super::{SourceFile, Violation, lexer};

/// A file above this always turned out to do several things.
pub const MOST_LINES: usize = 900;

/// Lines that are no test, longest first. Files that are nothing but tests are left out.
pub fn measure(files: &[SourceFile]) -> Vec<(usize, String)> {
    let mut lengths: Vec<(usize, String)> = files
        .iter()
        .filter(|file| !is_test(&file.path))
        .map(|file| (lexer::product_lines(&file.text), file.path.clone()))
        .collect();
    lengths.sort_by(|a, b| b.cmp(a));
    lengths
}

pub fn check(lengths: &[(usize, String)]) -> Vec<Violation> {
    lengths
        .iter()
        .filter(|(lines, _)| *lines > MOST_LINES)
        .map(|(lines, path)| {
            Violation::new(
                path,
                0,
                format!("{lines} lines without tests, at most {MOST_LINES}: split it by noun"),
            )
        })
        .collect()
}

/// Whether a path is nothing but tests: `tests/...`, `.../tests/...`, `.../tests.rs`.
pub fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, lines: usize) -> SourceFile {
        SourceFile {
            path: path.to_owned(),
            text: "fn a() {}\n".repeat(lines),
        }
    }

    #[test]
    fn the_longest_file_comes_first() {
        let lengths = measure(&[file("crates/a/src/lib.rs", 3), file("crates/b/src/lib.rs", 5)]);
        assert_eq!(lengths[0], (5, "crates/b/src/lib.rs".to_owned()));
        assert_eq!(check(&lengths), []);
    }

    #[test]
    fn a_planted_giant_is_found() {
        let found = check(&measure(&[file("crates/a/src/lib.rs", MOST_LINES + 1)]));
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("split it"));
    }

    #[test]
    fn tests_may_be_long() {
        assert_eq!(
            measure(&[
                file("tests/tests/e2e.rs", 2000),
                file("crates/a/src/tests.rs", 2000)
            ]),
            []
        );
    }
}
