//! The few flags of the harness.

use std::path::PathBuf;

pub const USAGE: &str = "usage: cargo run --release -p agentkernel-benches -- [--rounds N] [--only NAME]... \
                         [--json FILE]\nnames: run, python, exec, parallel, memory, pull, start, import, version, \
                         size";

#[derive(Debug, Eq, PartialEq)]
pub struct Arguments {
    /// How often each side of a comparison runs.
    pub rounds: usize,
    /// Empty: all.
    pub only: Vec<String>,
    pub json: Option<PathBuf>,
}

impl Arguments {
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == name)
    }
}

pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments {
        rounds: 50,
        only: Vec::new(),
        json: None,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--rounds" => {
                let text = value()?;
                let rounds = text.parse().ok().filter(|rounds| (1..=100_000).contains(rounds));
                arguments.rounds = rounds.ok_or_else(|| format!("invalid number of rounds {text:?}"))?;
            }
            "--only" => arguments.only.push(value()?),
            "--json" => arguments.json = Some(value()?.into()),
            _ => return Err(format!("unknown argument {word:?}")),
        }
    }
    for name in &arguments.only {
        if !crate::benchmarks::ALL
            .iter()
            .any(|benchmark| benchmark.name == name)
        {
            return Err(format!("there is no benchmark {name:?}"));
        }
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Arguments, String> {
        parse(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn flags_are_read_and_wrong_ones_named() {
        let arguments =
            parsed(&["--rounds", "7", "--only", "run", "--json", "x"]).expect("all of them exist");
        assert_eq!(arguments.rounds, 7);
        assert!(arguments.wants("run") && !arguments.wants("exec"));
        for (words, name) in [
            (&["--rounds", "0"][..], "0"),
            (&["--rounds"], "--rounds"),
            (&["--only", "nothing"], "nothing"),
            (&["--fast"], "--fast"),
        ] {
            assert!(
                parsed(words).expect_err("it is wrong").contains(name),
                "{words:?}"
            );
        }
    }
}
