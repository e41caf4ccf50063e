//! The command line: arguments to requests, [`agentkernel_control::Control`] to bytes on a terminal.
//!
//! `args` is the command line as data, `commands` has one file a command, `render` is the only place
//! that prints, `streams` carries a command's bytes and `terminal` owns the caller's terminal. `engine` is the
//! composition root: it decides who answers.
//!
//! No use case lives here: whatever another front end would need too belongs to the engine.

mod archive;
mod args;
mod commands;
mod engine;
mod failure;
mod lock_file;
mod render;
mod settings;
mod streams;
mod terminal;

use std::ffi::OsString;

use clap::CommandFactory as _;

use args::Arguments;
pub use commands::Connect;
use failure::Failure;

/// Runs one command line, the program's name first, and gives the exit code of the process.
pub fn run(arguments: Vec<OsString>) -> u8 {
    let own = arguments
        .get(1)
        .and_then(|first| agentkernel_registry::own_verb(first));
    if let Some(code) = own {
        return code;
    }
    run_with(arguments, engine::connect)
}

/// The same, with another answerer than the engine in this process.
pub fn run_with(arguments: Vec<OsString>, connect: Connect) -> u8 {
    let (json, outcome) = match Arguments::parse_line(&arguments) {
        Ok(parsed) => (
            parsed.command.wants_json(),
            commands::dispatch(parsed.command, connect),
        ),
        Err(error) => (seems_to_want_json(&arguments), Err(Failure::Usage(error))),
    };
    outcome.unwrap_or_else(|failure| {
        render::failure(&failure, json);
        failure.exit_code()
    })
}

/// The whole command line, for man pages and completions.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// For a command line that cannot be parsed: then the word is all there is to go by.
fn seems_to_want_json(arguments: &[OsString]) -> bool {
    arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument == "--json")
}
