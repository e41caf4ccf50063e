//! A hundred runs at once, until the last one has ended.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{
    measure::{Side, in_turns},
    programs::{Profile, Subject, bubblewrap},
    report::{Goal, Peer, Row},
};

const RUNS: usize = 100;

pub fn hundred_runs(subject: &Subject, rounds: usize) -> Result<Vec<Row>> {
    let profile = Profile::Moderate;
    let ours = || {
        subject.command(&[
            "run",
            "--image",
            "host",
            "--profile",
            profile.name(),
            "--",
            "true",
        ])
    };
    let mut sides: Vec<Side<'_>> = vec![Box::new(|| all_at_once(ours))];
    let peer_is_there = bubblewrap(profile, &["true"]).is_some();
    if peer_is_there {
        let theirs = || {
            let mut command = bubblewrap(profile, &["true"]).expect("it was there a moment ago");
            subject.quiet(&mut command);
            command
        };
        sides.push(Box::new(move || all_at_once(theirs)));
    }
    // A tenth of the rounds: each one is a hundred samples already.
    let mut summaries = in_turns(&mut sides, rounds.div_ceil(10))?.into_iter();
    let ours = summaries.next().flatten();
    let peer = match peer_is_there {
        true => Peer::measured("bubblewrap", summaries.next().flatten()),
        false => Peer::absent("bubblewrap", "not installed"),
    };
    let name = format!("{RUNS} runs of true at once");
    Ok(vec![Row {
        name,
        unit: "ms",
        ours,
        peer: Some(peer),
        goal: Some(Goal::Value(1000.0)),
    }])
}

fn all_at_once(command: impl Fn() -> Command) -> Result<()> {
    let children: Vec<_> = (0..RUNS)
        .map(|_| command().spawn().context("cannot start a run"))
        .collect::<Result<_>>()?;
    for mut child in children {
        let status = child.wait()?;
        ensure!(status.success(), "a run ended with {status}");
    }
    Ok(())
}
