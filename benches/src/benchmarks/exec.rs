//! One more command in a sandbox that runs already, against container engines that answer here.

use anyhow::Result;

use crate::{
    engines::Container,
    measure::{Side, in_turns},
    programs::{KEPT, Subject, expect_success},
    report::{Goal, Peer, Row},
};

pub fn exec_true(subject: &Subject, rounds: usize) -> Result<Vec<Row>> {
    subject.call(&["create", KEPT, "--image", "host"])?;
    let rows = ["podman", "docker"]
        .into_iter()
        .map(|engine| match Container::start(engine) {
            Ok(container) => against(subject, rounds, engine, &container),
            Err(why) => alone(subject, rounds, Peer::absent(engine, format!("{why:#}"))),
        })
        .collect();
    subject.call(&["remove", "-f", KEPT])?;
    rows
}

fn against(subject: &Subject, rounds: usize, engine: &'static str, container: &Container) -> Result<Row> {
    let mut peer = container.exec_true();
    let mut sides: [Side<'_>; 2] = [Box::new(|| ours(subject)), Box::new(|| expect_success(&mut peer))];
    let summaries = in_turns(&mut sides, rounds)?;
    Ok(row(summaries[0], Peer::measured(engine, summaries[1])))
}

fn alone(subject: &Subject, rounds: usize, peer: Peer) -> Result<Row> {
    let mut sides: [Side<'_>; 1] = [Box::new(|| ours(subject))];
    Ok(row(in_turns(&mut sides, rounds)?[0], peer))
}

fn ours(subject: &Subject) -> Result<()> {
    subject.call(&["exec", KEPT, "--", "true"])
}

fn row(ours: Option<crate::measure::Summary>, peer: Peer) -> Row {
    Row {
        name: "exec true".to_owned(),
        unit: "ms",
        ours,
        peer: Some(peer),
        goal: Some(Goal::Value(3.0)),
    }
}
