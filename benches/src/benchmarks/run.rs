//! A whole run, from the start of our process to its end, against bubblewrap with the same isolation.

use anyhow::Result;

use crate::{
    measure::{Side, in_turns},
    programs::{Profile, Subject, bubblewrap, expect_success},
    report::{Goal, Peer, Row},
};

pub fn run_true(subject: &Subject, rounds: usize) -> Result<Vec<Row>> {
    compare(subject, rounds, "run true", &["true"], Goal::Ratio(1.5))
}

pub fn run_python(subject: &Subject, rounds: usize) -> Result<Vec<Row>> {
    compare(
        subject,
        rounds,
        "run python3",
        &["/usr/bin/python3", "-c", "print(1)"],
        Goal::Ratio(1.2),
    )
}

fn compare(subject: &Subject, rounds: usize, name: &str, command: &[&str], goal: Goal) -> Result<Vec<Row>> {
    Profile::ALL
        .into_iter()
        .map(|profile| compare_in(subject, rounds, name, command, goal, profile))
        .collect()
}

fn compare_in(
    subject: &Subject,
    rounds: usize,
    name: &str,
    command: &[&str],
    goal: Goal,
    profile: Profile,
) -> Result<Row> {
    let flags = ["run", "--image", "host", "--profile", profile.name(), "--"];
    let arguments = [&flags[..], command].concat();
    let mut sides: Vec<Side<'_>> = vec![Box::new(|| subject.call(&arguments))];
    let peer_is_there = bubblewrap(profile, command).is_some();
    if let Some(mut peer) = bubblewrap(profile, command) {
        subject.quiet(&mut peer);
        sides.push(Box::new(move || expect_success(&mut peer)));
    }
    let mut summaries = in_turns(&mut sides, rounds)?.into_iter();
    let ours = summaries.next().flatten();
    let peer = match peer_is_there {
        true => Peer::measured("bubblewrap", summaries.next().flatten()),
        false => Peer::absent("bubblewrap", "not installed"),
    };
    Ok(Row {
        name: format!("{name}, {}", profile.name()),
        unit: "ms",
        ours,
        peer: Some(peer),
        goal: Some(goal),
    })
}
