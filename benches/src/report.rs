//! Rows as a table for people and as JSON for programs.

use std::fmt::Write;

use anyhow::Result;
use serde::Serialize;

use crate::{facts::Facts, measure::Summary};

/// One measurement, or one comparison.
#[derive(Debug, Serialize)]
pub struct Row {
    pub name: String,
    pub unit: &'static str,
    pub ours: Option<Summary>,
    pub peer: Option<Peer>,
    pub goal: Option<Goal>,
}

#[derive(Debug, Serialize)]
pub struct Peer {
    pub name: &'static str,
    pub summary: Option<Summary>,
    /// Why there is no summary.
    pub absent: Option<String>,
}

impl Peer {
    pub fn measured(name: &'static str, summary: Option<Summary>) -> Self {
        Self {
            name,
            summary,
            absent: None,
        }
    }

    pub fn absent(name: &'static str, why: impl Into<String>) -> Self {
        Self {
            name,
            summary: None,
            absent: Some(why.into()),
        }
    }
}

/// What was promised; see SPECIFICATION.md.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// At most so many times the peer's median.
    Ratio(f64),
    /// A median of at most so many units.
    Value(f64),
}

impl Row {
    pub fn ratio(&self) -> Option<f64> {
        let peer = self.peer.as_ref()?.summary?;
        Some(self.ours?.median / peer.median)
    }

    /// None where it cannot be said.
    pub fn met(&self) -> Option<bool> {
        match self.goal? {
            Goal::Ratio(most) => Some(self.ratio()? <= most),
            Goal::Value(most) => Some(self.ours?.median <= most),
        }
    }
}

pub fn table(facts: &Facts, rows: &[Row]) -> String {
    let mut text = format!(
        "{}\n{}, {} cores, {} MiB\nkernel {}, {}, load {}, {}\n\n",
        facts.agentkernel,
        facts.processor,
        facts.cores,
        facts.memory_mib,
        facts.kernel,
        facts.distribution,
        facts.load,
        if facts.root {
            "as root"
        } else {
            "as an ordinary user"
        },
    );
    let mut line = |cells: [&str; 8]| {
        let [name, unit, ours, p95, peer, peer_median, ratio, goal] = cells;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{name:<34} {unit:<4} {ours:>9} {p95:>9}  {peer:<18} {peer_median:>9} {ratio:>7}  {goal}"
        );
    };
    line([
        "benchmark",
        "unit",
        "median",
        "p95",
        "peer",
        "median",
        "ratio",
        "goal",
    ]);
    for row in rows {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        let peer = row.peer.as_ref();
        let absent = peer
            .and_then(|peer| peer.absent.clone())
            .map(|why| format!("absent ({why})"));
        let ratio = row
            .ratio()
            .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}x"));
        line([
            &row.name,
            row.unit,
            &number(row.ours.map(|ours| ours.median)),
            &number(row.ours.map(|ours| ours.p95)),
            peer.map_or("-", |peer| peer.name),
            &absent.unwrap_or_else(|| number(peer.and_then(|peer| Some(peer.summary?.median)))),
            &ratio,
            &goal(row),
        ]);
    }
    text
}

fn goal(row: &Row) -> String {
    let most = match row.goal {
        None => return "-".to_owned(),
        Some(Goal::Ratio(most)) => format!("at most {most}x"),
        Some(Goal::Value(most)) => format!("at most {most} {}", row.unit),
    };
    let verdict = match row.met() {
        Some(true) => "met",
        Some(false) => "MISSED",
        None => "not measured",
    };
    format!("{most}: {verdict}")
}

pub fn document(facts: &Facts, rows: &[Row]) -> Result<String> {
    let rows: Vec<serde_json::Value> = rows
        .iter()
        .map(|row| {
            let mut value = serde_json::to_value(row)?;
            value["ratio"] = serde_json::to_value(row.ratio())?;
            value["met"] = serde_json::to_value(row.met())?;
            Ok(value)
        })
        .collect::<Result<_>>()?;
    let document = serde_json::json!({ "schema_version": 1, "machine": facts, "rows": rows });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: f64, peer: Peer, goal: Goal) -> Row {
        Row {
            name: "sample".to_owned(),
            unit: "ms",
            ours: Some(Summary::single(ours)),
            peer: Some(peer),
            goal: Some(goal),
        }
    }

    #[test]
    fn a_missed_goal_is_said() {
        let peer = || Peer::measured("peer", Some(Summary::single(2.0)));
        assert_eq!(row(3.0, peer(), Goal::Ratio(1.5)).met(), Some(true));
        assert_eq!(row(3.1, peer(), Goal::Ratio(1.5)).met(), Some(false));
        assert_eq!(row(3.1, peer(), Goal::Value(3.0)).met(), Some(false));
        assert!(goal(&row(3.1, peer(), Goal::Ratio(1.5))).contains("MISSED"));
    }

    #[test]
    fn an_absent_peer_gives_no_ratio() {
        let row = row(3.0, Peer::absent("peer", "not installed"), Goal::Ratio(1.5));
        assert_eq!((row.ratio(), row.met()), (None, None));
    }
}
