//! A promise of SPECIFICATION.md names the test that enforces it, and that test exists.

use super::{SourceFile, Violation, lexer};

const SPECIFICATION: &str = "SPECIFICATION.md";

pub fn check(documents: &[SourceFile], rust: &[SourceFile]) -> Vec<Violation> {
    let Some(specification) = documents.iter().find(|file| file.path == SPECIFICATION) else {
        return vec![Violation::new(SPECIFICATION, 0, "there is no specification")];
    };
    let mut violations = Vec::new();
    for (index, line) in specification.text.lines().enumerate() {
        // Every second piece between backticks is code.
        for name in line
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|code| is_test_name(code))
        {
            if !exists(name, rust) {
                violations.push(Violation::new(
                    SPECIFICATION,
                    index + 1,
                    format!("there is no test {name}"),
                ));
            }
        }
    }
    violations
}

/// `file::test`, or `file::module::test`.
fn is_test_name(code: &str) -> bool {
    let word = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    code.contains("::") && code.split("::").all(word)
}

fn exists(name: &str, rust: &[SourceFile]) -> bool {
    let path = name.replace("::", "/");
    let is_module = |file: &SourceFile| {
        file.path == format!("tests/tests/{path}.rs") || file.path == format!("tests/tests/{path}/main.rs")
    };
    let Some((module, function)) = name.rsplit_once("::") else {
        return false;
    };
    let module = module.replace("::", "/");
    let in_module = |file: &SourceFile| {
        let place = file
            .path
            .trim_start_matches("tests/tests/")
            .trim_end_matches(".rs");
        let holds = place == module || place == format!("{module}/main");
        holds
            && file.path.starts_with("tests/")
            && lexer::code(&file.text).bare.contains(&format!("fn {function}("))
    };
    rust.iter().any(|file| is_module(file) || in_module(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    fn found(promise: &str) -> usize {
        let rust = [
            file(
                "tests/tests/e2e/exits.rs",
                "#[test]\nfn a_code_comes_back() {}\n// fn only_a_comment() {}\n",
            ),
            file("tests/tests/crash.rs", "#[test]\nfn a_run_is_cut() {}\n"),
        ];
        check(&[file(SPECIFICATION, &format!("| x | `{promise}` |"))], &rust).len()
    }

    #[test]
    fn a_test_that_exists_enforces() {
        for promise in [
            "e2e::exits::a_code_comes_back",
            "e2e::exits",
            "crash::a_run_is_cut",
            "cargo xtask tidy",
        ] {
            assert_eq!(found(promise), 0, "{promise}");
        }
    }

    #[test]
    fn a_planted_promise_without_a_test_is_found() {
        for promise in [
            "e2e::exits::nothing",
            "e2e::exits::only_a_comment",
            "e2e::other",
            "other::a_run_is_cut",
        ] {
            assert_eq!(found(promise), 1, "{promise}");
        }
    }
}
