//! What the program costs before it does anything.

use std::fs;

use anyhow::{Context, Result};

use crate::{
    measure::{Side, Summary, in_turns},
    programs::Subject,
    report::{Goal, Row},
};

pub fn version(subject: &Subject, rounds: usize) -> Result<Vec<Row>> {
    let mut sides: [Side<'_>; 1] = [Box::new(|| subject.call(&["--version"]))];
    let ours = in_turns(&mut sides, rounds)?[0];
    Ok(vec![Row {
        name: "--version".to_owned(),
        unit: "ms",
        ours,
        peer: None,
        goal: None,
    }])
}

pub fn binary(subject: &Subject, _rounds: usize) -> Result<Vec<Row>> {
    let metadata = fs::metadata(&subject.program).context("cannot look at the binary")?;
    let megabytes = metadata.len() as f64 / 1e6;
    let ours = Some(Summary::single(megabytes));
    let name = "size of the binary".to_owned();
    Ok(vec![Row {
        name,
        unit: "MB",
        ours,
        peer: None,
        goal: Some(Goal::Value(15.0)),
    }])
}
