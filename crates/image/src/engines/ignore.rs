//! `.dockerignore`, as far as it says what need not be looked at.
//!
//! It only decides what is hashed, never what the engine gets. So in doubt nothing is ignored: a build too many is
//! slow, one too few is wrong.

/// Patterns of one file.
#[derive(Debug, Default)]
pub(super) struct Ignored(Vec<Vec<String>>);

impl Ignored {
    pub(super) fn parse(text: &str) -> Self {
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut patterns = Vec::new();
        for line in lines {
            // Something is taken back, or has a meaning that is not known here.
            if line.starts_with('!') || line.contains(['[', '\\']) {
                return Self::default();
            }
            let parts: Vec<String> = line
                .split('/')
                .filter(|part| !part.is_empty() && *part != ".")
                .map(str::to_owned)
                .collect();
            if parts.iter().any(|part| part == "..") {
                return Self::default();
            }
            patterns.push(parts);
        }
        patterns.retain(|parts| !parts.is_empty());
        Self(patterns)
    }

    /// Whether the path, or a folder that it lies in, is ignored. Folders are asked before what is in them.
    pub(super) fn has(&self, path: &[&str]) -> bool {
        self.0.iter().any(|pattern| matches(pattern, path))
    }
}

fn matches(pattern: &[String], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "**" => {
            matches(rest, path)
                || path
                    .split_first()
                    .is_some_and(|(_, below)| matches(pattern, below))
        }
        (Some((first, rest)), Some((name, below))) => {
            part(first.as_bytes(), name.as_bytes()) && matches(rest, below)
        }
        _ => false,
    }
}

/// One part of a path with `*` and `?`.
fn part(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            part(rest, name) || name.split_first().is_some_and(|(_, below)| part(pattern, below))
        }
        (Some((b'?', rest)), Some((_, below))) => part(rest, below),
        (Some((one, rest)), Some((other, below))) => one == other && part(rest, below),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(patterns: &str, path: &str) -> bool {
        Ignored::parse(patterns).has(&path.split('/').collect::<Vec<_>>())
    }

    #[test]
    fn patterns_are_those_of_docker() {
        for (patterns, path, expected) in [
            ("node_modules", "node_modules", true),
            ("node_modules", "a/node_modules", false),
            ("**/node_modules", "a/b/node_modules", true),
            ("**/node_modules", "node_modules", true),
            ("/target/", "target", true),
            ("*.log", "a.log", true),
            ("*.log", "b/a.log", false),
            ("*/a?", "b/ab", true),
            ("# target\n\n", "target", false),
            ("", "a", false),
        ] {
            assert_eq!(has(patterns, path), expected, "{patterns} {path}");
        }
    }

    #[test]
    fn in_doubt_nothing_is_ignored() {
        for patterns in ["*\n!keep", "[ab]", "a\\*", "a/../b"] {
            assert!(!has(patterns, "a"), "{patterns}");
        }
    }
}
