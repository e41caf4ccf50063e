//! Speed and size of the real binary, against bubblewrap and container engines on the same machine.
//!
//! Both sides of a comparison run in turns, so that a busy machine slows both; what counts is the ratio. Nothing is
//! asserted here: a number that misses its goal is printed as missed.

mod arguments;
mod benchmarks;
mod engines;
mod facts;
mod measure;
mod programs;
mod report;
mod samples;

use std::process::ExitCode;

use anyhow::{Context, Result};

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a harness reports to its terminal"
)]
fn main() -> Result<ExitCode> {
    let arguments = match arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}\n{}", arguments::USAGE);
            return Ok(ExitCode::from(2));
        }
    };
    let subject = programs::Subject::find()?;
    let facts = facts::read(&subject);
    let mut rows = Vec::new();
    for benchmark in benchmarks::ALL
        .iter()
        .filter(|benchmark| arguments.wants(benchmark.name))
    {
        eprintln!("measuring {}: {}", benchmark.name, benchmark.summary);
        rows.extend((benchmark.run)(&subject, arguments.rounds).with_context(|| benchmark.name.to_owned())?);
    }
    println!("{}", report::table(&facts, &rows));
    if let Some(path) = arguments.json {
        let document = report::document(&facts, &rows)?;
        std::fs::write(&path, document).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
