//! Documents speak of the product, never of the machine on which somebody built it.

use super::{SourceFile, Violation};

/// Homes that an example may show.
const EXAMPLE_HOMES: [&str; 3] = ["sandbox", "you", "me"];

/// `machine_paths` are the folders of this checkout and of its tools.
pub fn check(file: &SourceFile, machine_paths: &[String]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let machine = machine_paths
            .iter()
            .find(|path| line.contains(path.as_str()))
            .cloned();
        if let Some(path) = machine.or_else(|| personal_home(line)) {
            let message = format!("{path} is a folder of one machine: write a path that every reader has");
            violations.push(Violation::new(&file.path, index + 1, message));
        }
    }
    violations
}

/// Every relative link leads to a file of the repository. `exists` takes a path relative to its root.
pub fn check_links(file: &SourceFile, exists: impl Fn(&str) -> bool) -> Vec<Violation> {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut violations = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for target in line
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', '#']).next())
        {
            let elsewhere = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            if !elsewhere && !exists(&resolve(folder, target)) {
                violations.push(Violation::new(
                    &file.path,
                    index + 1,
                    format!("{target} does not exist"),
                ));
            }
        }
    }
    violations
}

fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

fn personal_home(line: &str) -> Option<String> {
    ["/home/", "/Users/"].into_iter().find_map(|start| {
        line.match_indices(start).find_map(|(at, _)| {
            let name: String = line[at + start.len()..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '-')
                .collect();
            (!name.is_empty() && !EXAMPLE_HOMES.contains(&name.as_str())).then(|| format!("{start}{name}"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> usize {
        let file = SourceFile {
            path: "README.md".to_owned(),
            text: text.to_owned(),
        };
        check(&file, &["/builds/checkout".to_owned()]).len()
    }

    #[test]
    fn planted_machine_paths_are_found() {
        assert_eq!(found("see /builds/checkout/README.md"), 1);
        assert_eq!(found("cd /home/maria/code"), 1);
        assert_eq!(found("open /Users/paul"), 1);
    }

    #[test]
    fn a_dead_link_is_found() {
        let file = SourceFile {
            path: "docs/guides/start.md".to_owned(),
            text: "[a](../../README.md) [b](https://example.org/x) [c](../missing.md#part)".to_owned(),
        };
        let found = check_links(&file, |path| path == "README.md");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.contains("../missing.md"));
    }

    #[test]
    fn paths_of_a_sandbox_are_fine() {
        assert_eq!(found("its home is /home/sandbox and its files are in /tmp"), 0);
    }
}
