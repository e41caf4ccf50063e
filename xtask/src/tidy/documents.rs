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
    fn paths_of_a_sandbox_are_fine() {
        assert_eq!(found("its home is /home/sandbox and its files are in /tmp"), 0);
    }
}
