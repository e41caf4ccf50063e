//! Tables and lines for people.

use std::{
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use agentkernel_control::{DetachedStatus, Doctor, Explanation, GcReport, SandboxInfo, SandboxState, Stats};
use agentkernel_types::{ByteSize, Exit};
use comfy_table::{ContentArrangement, Table, presets};

use super::safe;

pub fn sandboxes(sandboxes: &[SandboxInfo]) -> String {
    let rows = sandboxes.iter().map(|sandbox| {
        let name = sandbox
            .spec
            .name
            .as_ref()
            .map_or_else(|| sandbox.spec.id.to_string(), ToString::to_string);
        [
            name,
            state(sandbox.state).to_owned(),
            sandbox.backend.clone(),
            sandbox.isolation.to_string(),
            sandbox.spec.image.to_string(),
            sandbox.spec.network.policy.mode.to_string(),
            age(now().saturating_sub(sandbox.created_at)),
        ]
    });
    table(
        [
            "NAME",
            "STATUS",
            "BACKEND",
            "ISOLATION",
            "IMAGE",
            "NETWORK",
            "AGE",
        ],
        rows,
    )
}

pub fn names(sandboxes: &[SandboxInfo]) -> String {
    sandboxes
        .iter()
        .filter_map(|sandbox| sandbox.spec.name.as_ref())
        .map(|name| format!("{name}\n"))
        .collect()
}

pub fn detached(commands: &[DetachedStatus]) -> String {
    let rows = commands.iter().map(|command| {
        [
            command.id.to_string(),
            command.exit.map_or_else(|| "running".to_owned(), exit),
            age(now().saturating_sub(command.started_at_ms / 1000)),
            command.command.join(" "),
        ]
    });
    table(["ID", "STATUS", "AGE", "COMMAND"], rows)
}

pub fn doctor(doctor: &Doctor) -> String {
    let rows = doctor.backends.iter().map(|backend| {
        [
            backend.name.to_owned(),
            backend.isolation.to_string(),
            if backend.usable { "yes" } else { "no" }.to_owned(),
            backend.reason.clone(),
        ]
    });
    let mut text = table(["BACKEND", "ISOLATION", "USABLE", "REASON"], rows);
    for backend in &doctor.backends {
        if let Some(remedy) = &backend.remedy {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n{}: {}\n", backend.name, safe(remedy));
        }
        for caveat in backend
            .capabilities
            .iter()
            .flat_map(|capabilities| &capabilities.caveats)
        {
            let _ = write!(text, "\n{}: {}\n", backend.name, safe(caveat));
        }
    }
    for finding in &doctor.findings {
        let _ = write!(text, "\n{}\n", safe(finding));
    }
    text
}

pub fn explanation(explanation: &Explanation) -> String {
    let rows = explanation
        .choices
        .iter()
        .map(|c| [c.what.to_owned(), c.value.clone(), c.why.clone()]);
    table(["WHAT", "CHOICE", "WHY"], rows)
}

pub fn gc(report: &GcReport) -> String {
    let verb = if report.dry_run { "would remove" } else { "removed" };
    let mut text = String::new();
    for leftover in &report.removed {
        let _ = writeln!(text, "{verb} {} {}", safe(&leftover.kind), safe(&leftover.name));
    }
    for (leftover, why) in &report.failed {
        let _ = writeln!(
            text,
            "could not remove {} {}: {}",
            safe(&leftover.kind),
            safe(&leftover.name),
            safe(why)
        );
    }
    if text.is_empty() {
        text.push_str("nothing to remove\n");
    }
    text
}

pub fn stats(stats: &Stats) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let limit = |text: Option<String>| or_dash(text);
    let limits = &stats.limits;
    let rows = [
        [
            "memory".to_owned(),
            or_dash(stats.memory.map(size)),
            limit(limits.memory.map(|size| size.to_string())),
        ],
        [
            "processor time".to_owned(),
            or_dash(
                stats
                    .cpu_us
                    .map(|us| format!("{}.{:03}s", us / 1_000_000, us / 1000 % 1000)),
            ),
            limit(limits.cpus.map(|cpus| format!("{cpus} processors"))),
        ],
        [
            "processes".to_owned(),
            stats.processes.to_string(),
            limit(limits.pids.map(|pids| pids.to_string())),
        ],
    ];
    table(["WHAT", "USED", "LIMIT"], rows)
}

/// Columns as wide as their content, two blanks between them, nothing at the end of a line.
pub fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(head);
    for row in rows {
        table.add_row(row.map(|cell| safe(&cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for line in table.to_string().lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

const fn state(state: SandboxState) -> &'static str {
    match state {
        SandboxState::Running => "running",
        SandboxState::Stopped => "stopped",
        SandboxState::Gone => "gone",
    }
}

fn exit(exit: Exit) -> String {
    match exit.cause {
        None => format!("exit {}", exit.exit_code()),
        Some(cause) => format!("exit {} ({cause:?})", exit.exit_code()),
    }
}

pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The largest unit that fits, once: `3m`, `2d`.
pub fn age(seconds: u64) -> String {
    let (length, unit) = match seconds {
        0..60 => (1, "s"),
        60..3600 => (60, "m"),
        3600..86_400 => (3600, "h"),
        _ => (86_400, "d"),
    };
    format!("{}{unit}", seconds / length)
}

/// In whole units where that is not too coarse: `12.3m`.
pub fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return ByteSize::from_bytes(bytes).to_string();
    }
    let (shift, unit) = match bytes {
        0..0x10_0000 => (10, "k"),
        0x10_0000..0x4000_0000 => (20, "m"),
        _ => (30, "g"),
    };
    format!("{:.1}{unit}", bytes as f64 / f64::from(1u32 << shift))
}

#[cfg(test)]
mod tests {
    use agentkernel_control::{GcReport, Leftover};

    use super::*;

    #[test]
    fn a_table_has_no_borders_and_no_blanks_at_the_end() {
        let rows = [
            ["a".to_owned(), "long value".to_owned()],
            ["longer".to_owned(), "\x1b[2J".to_owned()],
        ];
        assert_eq!(
            table(["NAME", "X"], rows),
            "NAME    X\na       long value\nlonger  \\x1b[2J\n"
        );
    }

    #[test]
    fn an_age_is_one_number() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (7199, "1h"),
            (86_400, "1d"),
            (864_000, "10d"),
        ] {
            assert_eq!(age(seconds), text);
        }
    }

    #[test]
    fn a_size_is_readable() {
        for (bytes, text) in [
            (0, "0"),
            (1023, "1023"),
            (1536, "1.5k"),
            (1 << 20, "1.0m"),
            (5 << 30, "5.0g"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn gc_says_what_it_did_and_what_it_could_not() {
        let leftover = |name: &str| Leftover {
            kind: "cgroup".to_owned(),
            name: name.to_owned(),
        };
        let report = GcReport {
            dry_run: true,
            removed: vec![leftover("/a")],
            failed: vec![(leftover("/b"), "busy".to_owned())],
        };
        assert_eq!(
            gc(&report),
            "would remove cgroup /a\ncould not remove cgroup /b: busy\n"
        );
        assert_eq!(gc(&GcReport::default()), "nothing to remove\n");
    }
}
