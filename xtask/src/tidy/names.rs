//! Adding a backend is one folder and one row: no other code may know one by name.

use super::{SourceFile, Violation, lengths::is_test, lexer};

/// Words that can only mean the backend.
const NAMES: [&str; 12] = [
    "docker",
    "podman",
    "firecracker",
    "qemu",
    "uml",
    "gvisor",
    "hyperlight",
    "kubernetes",
    "nomad",
    "daytona",
    "runloop",
    "agentcomputer",
];
/// Words with another meaning as well: only a whole identifier or a whole string counts.
const COMMON_NAMES: [&str; 4] = ["native", "apple", "modal", "e2b"];

/// Where the same word means something else.
const OTHER_MEANINGS: [&str; 4] = [
    // A format of archives is called after the program that writes it.
    "crates/control/src/image.rs",
    "crates/engine/src/images/operations.rs",
    // Credential stores are called after the tools that own them.
    "crates/policy/src/credentials.rs",
    // Lists of hosts are called after the services that have them.
    "crates/policy/src/network/presets.rs",
];

const FREE: [&str; 7] = [
    // Image formats, registries and engines that hold images have these names, too; nothing there chooses a backend.
    "crates/image/",
    "crates/pull/",
    "crates/registry/",
    "crates/cli/",
    "backends/",
    "benches/",
    "xtask/",
];

pub fn check(file: &SourceFile) -> Vec<Violation> {
    if is_test(&file.path)
        || FREE.iter().any(|folder| file.path.starts_with(folder))
        || OTHER_MEANINGS.contains(&file.path.as_str())
    {
        return Vec::new();
    }
    let code = lexer::code(&file.text);
    let identifiers = code.bare.lines().enumerate().flat_map(|(index, line)| {
        identifiers(line)
            .filter_map(backend_in_identifier)
            .map(move |name| (index + 1, name))
            .collect::<Vec<_>>()
    });
    let strings = code
        .strings
        .iter()
        .filter_map(|(line, text)| backend_in_string(text).map(|name| (*line, name)));
    identifiers
        .chain(strings)
        .map(|(line, name)| {
            let message =
                format!("names the backend {name}: only crates/registry, crates/cli and backends may");
            Violation::new(&file.path, line, message)
        })
        .collect()
}

fn identifiers(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

fn backend_in_identifier(identifier: &str) -> Option<&'static str> {
    let words = words(identifier);
    let own = words.strip_prefix(&["agentkernel".to_owned()]).unwrap_or(&words);
    let own = own.strip_suffix(&["backend".to_owned()]).unwrap_or(own);
    NAMES
        .into_iter()
        .find(|name| words.iter().any(|word| word == name))
        .or_else(|| {
            COMMON_NAMES
                .into_iter()
                .find(|name| matches!(own, [only] if only == name))
        })
}

/// `DockerBackend` and `docker_backend` are both `docker`, `backend`.
fn words(identifier: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut previous_is_lower = false;
    for c in identifier.chars() {
        let begins = c == '_' || (c.is_uppercase() && previous_is_lower);
        if begins && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c != '_', words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        previous_is_lower = c.is_lowercase() || c.is_ascii_digit();
    }
    words
}

/// `.docker` and `docker.sock` are paths (credential stores, control sockets), `Docker` is a company with an image
/// library, and `use docker` is a name.
fn backend_in_string(text: &str) -> Option<&'static str> {
    let stands_alone = |name: &str| {
        text.match_indices(name).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let mut after = text[at + name.len()..].chars();
            let joins =
                |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '/'));
            let (next, then) = (after.next(), after.next());
            let path_dot = next == Some('.') && then.is_some_and(char::is_alphanumeric);
            !joins(before) && before != Some('.') && !joins(next) && !path_dot
        })
    };
    NAMES
        .into_iter()
        .find(|name| stands_alone(name))
        .or_else(|| COMMON_NAMES.into_iter().find(|name| text.trim() == *name))
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
    fn planted_names_are_found() {
        for text in [
            "if name == \"native\" { }",
            "use agentkernel_native::DESCRIPTOR;",
            "enum Kind { Docker, Other }",
            "struct FirecrackerBackend;",
            "let podman_socket = 1;",
            "let hint = \"install docker first\";",
            "let hint = \"try qemu.\";",
        ] {
            assert_eq!(found("crates/engine/src/lib.rs", text), 1, "{text}");
        }
    }

    #[test]
    fn other_words_are_free() {
        for text in [
            "// as docker does it",
            "let store = \".docker\";",
            "let fact = \"a Docker official image\";",
            "let socket = \"/run/docker.sock\";",
            "let bytes = to_native_order(x);",
            "let message = \"a native program\";",
            "let number = u16::from_ne_bytes(x);",
            "#[cfg(test)]\nmod tests {\n    const A: &str = \"native\";\n}\n",
        ] {
            assert_eq!(found("crates/engine/src/lib.rs", text), 0, "{text}");
        }
    }

    #[test]
    fn the_places_that_list_backends_are_free() {
        for path in [
            "crates/registry/src/lib.rs",
            "backends/native/src/lib.rs",
            "tests/tests/e2e.rs",
        ] {
            assert_eq!(found(path, "let backend = \"native\";"), 0, "{path}");
        }
    }
}
