//! The command line: arguments to requests, [`agentkernel_control::Control`] to bytes on a terminal.
//!
//! `args` is the command line as data, `commands` has one file a command, `render` is the only place
//! that prints, `streams` carries a command's bytes and `terminal` owns the caller's terminal. This is
//! the composition root: `commands::control` decides who answers.
//!
//! No use case lives here: whatever another front end would need too belongs to the engine.

mod archive;
mod args;
mod commands;
mod failure;
mod render;
mod settings;
mod streams;
mod terminal;

use std::ffi::OsString;

use clap::{CommandFactory as _, Parser as _};

use args::Arguments;
use failure::Failure;

/// Runs one command line, the program's name first, and gives the exit code of the process.
pub fn run(arguments: Vec<OsString>) -> u8 {
    let json = asks_for_json(&arguments);
    let outcome = match Arguments::try_parse_from(&arguments) {
        Ok(parsed) => commands::dispatch(parsed.command),
        Err(error) => Err(Failure::usage(error, &arguments)),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            render::failure(&failure, json);
            failure.exit_code()
        }
    }
}

/// The whole command line, for man pages and completions.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Whether errors are wanted as JSON. Looked up before parsing, because parsing itself may fail: the
/// first word that can begin a sandboxed command ends the search at the latest at `--`.
fn asks_for_json(arguments: &[OsString]) -> bool {
    arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument == "--json")
}
