//! What a command line says about the image it needs.

use std::ffi::OsString;

use crate::{
    tools::{self, Tool, WRAPPERS},
    version::Version,
};

/// The verdict on an argument vector.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The program, its tool, and the version if the program's name has one (`python3.11`).
    Tool {
        program: String,
        tool: &'static Tool,
        version: Option<String>,
        note: Option<&'static str>,
    },
    /// A program that no known image holds, and what to do instead.
    WithoutImage {
        program: String,
        advice: &'static str,
    },
    Unknown,
}

/// Where interpreters live on any Linux. A program of the same name elsewhere is the project's own.
const PROGRAM_FOLDERS: &[&str] = &[
    "/bin",
    "/usr/bin",
    "/usr/local/bin",
    "/sbin",
    "/usr/sbin",
    "/usr/local/sbin",
];

/// Programs that run the rest of their command line: name, options that take a value, operands before
/// the command.
const PREFIXES: &[(&str, &[&str], usize)] = &[
    ("env", &["-u", "--unset", "-C", "--chdir"], 0),
    ("nice", &["-n", "--adjustment"], 0),
    ("nohup", &[], 0),
    ("setsid", &[], 0),
    ("stdbuf", &["-i", "-o", "-e"], 0),
    ("time", &["-f", "-o"], 0),
    ("timeout", &["-s", "--signal", "-k", "--kill-after"], 1),
    ("sudo", &["-u", "-g", "-C", "-h", "-p"], 0),
    ("doas", &["-u", "-C"], 0),
];

/// `env env env ...`: nobody means that.
const MAX_PREFIXES: usize = 8;

pub(crate) fn judge(argv: &[OsString]) -> Verdict {
    let words: Vec<&str> = argv.iter().map(|word| word.to_str().unwrap_or("")).collect();
    judge_words(&words)
}

pub(crate) fn judge_words(words: &[&str]) -> Verdict {
    let mut rest = words;
    for _ in 0..MAX_PREFIXES {
        let Some((first, after)) = rest.split_first() else {
            return Verdict::Unknown;
        };
        let Some(program) = program_name(first) else {
            return Verdict::Unknown;
        };
        match PREFIXES.iter().find(|(name, ..)| *name == program) {
            Some((name, with_value, operands)) => rest = skip(after, name, with_value, *operands),
            None => return judge_program(program, after),
        }
    }
    Verdict::Unknown
}

fn judge_program(program: &str, arguments: &[&str]) -> Verdict {
    if let Some(advice) = tools::without_image(program) {
        return Verdict::WithoutImage {
            program: program.to_owned(),
            advice,
        };
    }
    let is_wrapper = WRAPPERS.commands.contains(&program);
    let versioned = program
        .strip_prefix("python")
        .or_else(|| program.strip_prefix("pip"));
    let versioned = versioned.filter(|rest| rest.contains('.') && Version::parse(rest).is_some());
    let tool = match versioned {
        _ if is_wrapper => Some(&WRAPPERS),
        Some(_) => tools::by_program("python"),
        None => tools::by_program(program),
    };
    let Some(tool) = tool else { return Verdict::Unknown };
    let script = arguments.first().is_some_and(|first| is_script_option(first));
    let note = (tool.runtime == crate::Runtime::Shell && script)
        .then_some("only the shell is looked at: if its script needs more, name an image");
    Verdict::Tool {
        program: program.to_owned(),
        tool,
        version: versioned.map(str::to_owned),
        note,
    }
}

/// `-c`, `-lc`, `-ec` and the like.
fn is_script_option(word: &str) -> bool {
    word.strip_prefix('-')
        .is_some_and(|letters| !letters.starts_with('-') && letters.ends_with('c'))
}

/// The name to look up. None for a program that is the project's own or the caller's.
fn program_name(word: &str) -> Option<&str> {
    let Some((folder, name)) = word.rsplit_once('/') else {
        return Some(word);
    };
    let of_project = !word.starts_with('/') && WRAPPERS.commands.contains(&name);
    (PROGRAM_FOLDERS.contains(&folder) || of_project).then_some(name)
}

/// What is left after the options, assignments and operands of a prefix.
fn skip<'a, 'b>(words: &'a [&'b str], prefix: &str, with_value: &[&str], operands: usize) -> &'a [&'b str] {
    let mut rest = words;
    while let Some((first, after)) = rest.split_first() {
        // `env -S` splits a string by rules of its own.
        if prefix == "env" && (first.starts_with("-S") || first.starts_with("--split-string")) {
            return &[];
        }
        if *first == "--" {
            rest = after;
            break;
        }
        let assignment = matches!(prefix, "env" | "sudo") && first.contains('=') && !first.starts_with('-');
        if with_value.contains(first) {
            rest = after.get(1..).unwrap_or(&[]);
        } else if assignment
            || (first.starts_with('-') && first.len() > 1)
            || (prefix == "env" && *first == "-")
        {
            rest = after;
        } else {
            break;
        }
    }
    let rest = rest.get(operands..).unwrap_or(&[]);
    // Assignments may follow `--` as well.
    let assignments = rest
        .iter()
        .take_while(|word| prefix == "env" && word.contains('='))
        .count();
    &rest[assignments..]
}
