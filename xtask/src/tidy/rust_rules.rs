//! Small rules of style: where may be printed, and that every exception says why.

use super::{SourceFile, Violation, lexer};

/// Where the terminal is the business. The conformance suite runs in tests only.
const MAY_PRINT: [&str; 5] = [
    "crates/cli/src/render",
    "crates/conformance/",
    "xtask/",
    "tests/",
    "benches/",
];

pub fn check(file: &SourceFile) -> Vec<Violation> {
    let code = lexer::code(&file.text);
    let mut violations = Vec::new();
    if !may_print(&file.path) {
        for (index, line) in code.bare.lines().enumerate() {
            if let Some(call) = print_call(line) {
                let message =
                    format!("{call} outside crates/cli/src/render: return data and let the renderer print");
                violations.push(Violation::new(&file.path, index + 1, message));
            }
        }
    }
    for (line, attribute) in exceptions(&code.bare) {
        if !attribute.contains("reason") {
            let message = "an exception from a lint says why: add reason = \"...\"";
            violations.push(Violation::new(&file.path, line, message));
        }
    }
    violations
}

fn may_print(path: &str) -> bool {
    // A build script speaks to cargo by printing; integration tests of a crate to their harness.
    let by_kind = path.ends_with("/build.rs") || path.contains("/tests/") || path.contains("/examples/");
    // So do its benchmarks, and test modules in files of their own that say why they are skipped.
    let by_kind = by_kind || path.contains("/benches/") || path.ends_with("/tests.rs");
    by_kind || MAY_PRINT.iter().any(|place| path.starts_with(place))
}

fn print_call(line: &str) -> Option<&'static str> {
    ["println!", "eprintln!", "print!", "eprint!"]
        .into_iter()
        .find(|call| {
            line.match_indices(call)
                .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
}

/// Every `#[allow(...)]` and `#[expect(...)]`, outer and inner, with its line.
fn exceptions(bare: &str) -> Vec<(usize, &str)> {
    ["#[allow(", "#![allow(", "#[expect(", "#![expect("]
        .into_iter()
        .flat_map(|start| bare.match_indices(start))
        .map(|(at, _)| {
            let end = bare[at..].find(']').map_or(bare.len(), |length| at + length);
            (lexer::line_of(bare, at), &bare[at..end])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        })
        .len()
    }

    #[test]
    fn a_planted_print_is_found() {
        for text in [
            "fn a() { println!(\"x\"); }",
            "eprintln!();",
            "print!(\"x\");",
            "std::eprint!(\"x\");",
        ] {
            assert_eq!(found("crates/engine/src/lib.rs", text), 1, "{text}");
        }
    }

    #[test]
    fn printing_is_the_renderers_business() {
        for path in [
            "crates/cli/src/render/human.rs",
            "xtask/src/main.rs",
            "backends/native/build.rs",
        ] {
            assert_eq!(found(path, "println!(\"x\");"), 0, "{path}");
        }
        assert_eq!(found("crates/cli/src/commands/run.rs", "println!(\"x\");"), 1);
        assert_eq!(
            found(
                "crates/engine/src/lib.rs",
                "let x = \"println!\"; my_println!(x);"
            ),
            0
        );
    }

    #[test]
    fn an_exception_without_a_reason_is_found() {
        assert_eq!(found("crates/a/src/lib.rs", "#[allow(dead_code)]\nfn a() {}"), 1);
        assert_eq!(found("crates/a/src/lib.rs", "#![expect(unused)]"), 1);
        assert_eq!(
            found(
                "crates/a/src/lib.rs",
                "#[allow(dead_code, reason = \"later\")]\nfn a() {}"
            ),
            0
        );
    }
}
