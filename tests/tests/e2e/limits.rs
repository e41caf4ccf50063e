//! A limit that was asked for is kept, or refused by its name.

use agentkernel_tests::cli::{Home, Outcome};

/// Whether the host could keep the limit at all. If not, the refusal must name it.
#[track_caller]
fn honoured(outcome: &Outcome, field: &str) -> bool {
    if outcome.status.code() != Some(125) {
        return true;
    }
    assert!(
        outcome.errors().contains(field),
        "a refusal names {field}: {}",
        outcome.errors()
    );
    false
}

#[test]
fn a_command_above_its_memory_limit_is_killed() {
    let home = Home::new();
    let hungry = "x = bytearray(512 << 20); print(len(x))";
    let outcome = home.run(&["--memory", "64m"], &["python3", "-c", hungry]);
    if honoured(&outcome, "memory") {
        assert_eq!(outcome.text(), "", "512 MiB fit into 64 MiB");
        assert_ne!(outcome.status.code(), Some(0));
    }
    let outcome = home.run(&["--memory", "256m"], &["python3", "-c", "print(1)"]);
    if honoured(&outcome, "memory") {
        outcome.success().expect_text("1\n");
    }
}

#[test]
fn a_fork_bomb_hits_the_process_limit() {
    let home = Home::new();
    let bomb = "import os, time\nn = 0\ntry:\n  for _ in range(200):\n    if os.fork() == 0: time.sleep(30); os._exit(0)\n    \
                n += 1\nexcept OSError: pass\nprint(n)";
    let outcome = home.run(&["--pids", "20"], &["python3", "-c", bomb]);
    if honoured(&outcome, "pids") {
        let children: u32 = outcome
            .success()
            .text()
            .trim()
            .parse()
            .expect("the bomb prints a number");
        assert!(children < 20, "{children} children with a limit of 20");
    }
}

#[test]
fn a_processor_limit_is_kept_or_refused() {
    let home = Home::new();
    let outcome = home.run(&["--cpus", "0.5"], &["echo", "ran"]);
    if honoured(&outcome, "cpus") {
        outcome.success().expect_text("ran\n");
    }
}
