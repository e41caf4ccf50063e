//! The two verbs that people wait for are parsed by themselves: building the definitions of all the others takes
//! longer than parsing the line. Whatever is not plainly right is left to the whole definition, and so are all
//! errors and helps.

use std::ffi::OsString;

use clap::{Args, Parser};

use super::{Arguments, TopCommand, Verb};

impl Arguments {
    /// A whole command line, the program's name first.
    pub fn parse_line(arguments: &[OsString]) -> Result<Self, clap::Error> {
        match verb(arguments.get(1..).unwrap_or_default()) {
            Some(verb) => Ok(Self {
                command: TopCommand::Verb(verb),
            }),
            None => Self::try_parse_from(arguments),
        }
    }
}

fn verb(words: &[OsString]) -> Option<Verb> {
    match words.first()?.to_str()? {
        "run" => alone(words).map(Verb::Run),
        "exec" => alone(words).map(Verb::Exec),
        _ => None,
    }
}

fn alone<A: Args>(words: &[OsString]) -> Option<A> {
    let matches = A::augment_args(clap::Command::new("agentkernel")).try_get_matches_from(words);
    A::from_arg_matches(&matches.ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        std::iter::once("agentkernel")
            .chain(line.split(' '))
            .map(OsString::from)
            .collect()
    }

    #[test]
    fn a_verb_alone_is_parsed_as_it_is_among_all() {
        for line in [
            "run true",
            "run",
            "run --image x:1",
            "run --image x:1 --pull always --entrypoint sh -- -c x",
            "run --build -k make",
            "run -q -- sh -c x",
            "run -m 64m --pids 5 -e A=B -e C -v /a:/b:ro --read-only=false ls -la -- --json",
            "run --json --timeout 3s -k --name box -t true",
            "run --network public --allow preset:npm --deny *.example -p 8080:80 -p 53/udp --dns ::1 true",
            "run --profile restrictive --no-network -w /x -u 0 -C 1.5 --disk 1g -c f --explain true",
            "exec box ls -la",
            "exec -d -e A=B -w /x box -- sh -c x",
            "exec --timeout 5s --json box true",
        ] {
            let whole = Arguments::try_parse_from(words(line)).expect(line);
            let fast = Arguments::parse_line(&words(line)).expect(line);
            assert_eq!(format!("{fast:?}"), format!("{whole:?}"), "{line}");
            assert!(verb(&words(line)[1..]).is_some(), "{line} went the long way");
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_the_whole_definition() {
        for line in [
            "run --help",
            "run --pull sometimes true",
            "run --build --image x true",
            "run --nonsense x",
            "exec",
            "exec --help",
            "run -m lots true",
            "run --image",
        ] {
            let whole = Arguments::try_parse_from(words(line)).expect_err(line);
            let fast = Arguments::parse_line(&words(line)).expect_err(line);
            assert_eq!(fast.to_string(), whole.to_string(), "{line}");
        }
    }
}
