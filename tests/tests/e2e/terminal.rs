//! A real terminal: size, resize, Ctrl-C, Ctrl-Z, and the modes as they were before.

use std::process::Command;

use agentkernel_tests::cli::{Home, Terminal, marker, sleepers, wait_until};
use rustix::process::Signal;
use std::time::Duration;

fn run(home: &Home, script: &str) -> Terminal {
    Terminal::open(
        home,
        &["run", "--image", "host", "--", "sh", "-c", script],
        40,
        132,
    )
}

#[test]
fn the_command_has_a_terminal_of_the_same_size() {
    let home = Home::new();
    let mut terminal = run(
        &home,
        "test -t 0 && test -t 1 && test -t 2 && echo all-three; stty size; tty; exit 4",
    );
    assert_eq!(terminal.wait().code(), Some(4), "{}", terminal.screen());
    terminal.expect("all-three");
    terminal.expect("40 132");
    terminal.expect("/dev/pts/");
}

#[test]
fn a_resize_reaches_the_command() {
    let home = Home::new();
    let script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done";
    let mut terminal = run(&home, script);
    terminal.expect("ready");
    terminal.resize(50, 100);
    terminal.expect("50 100");
    terminal.signal(Signal::TERM);
    terminal.wait();
}

#[test]
fn what_is_typed_is_echoed_once_and_read() {
    let home = Home::new();
    let mut terminal = run(&home, "echo ready; read line; echo \"[$line]\"");
    terminal.expect("ready");
    terminal.send("typed\r");
    terminal.expect("[typed]");
    assert!(terminal.wait().success());
    assert_eq!(
        terminal.screen().matches("typed").count(),
        2,
        "echo and answer: {:?}",
        terminal.screen()
    );
}

#[test]
fn control_c_interrupts_the_command_only() {
    let home = Home::new();
    let script = "trap 'echo interrupted; exit 9' INT; echo ready; while :; do sleep 0.05; done";
    let mut terminal = run(&home, script);
    terminal.expect("ready");
    terminal.send("\u{3}");
    terminal.expect("interrupted");
    assert_eq!(terminal.wait().code(), Some(9));
}

#[test]
fn control_d_ends_the_input() {
    let home = Home::new();
    let mut terminal = run(&home, "echo ready; cat; echo end");
    terminal.expect("ready");
    terminal.send("line\r\u{4}");
    terminal.expect("end");
    assert!(terminal.wait().success());
}

#[test]
fn the_modes_are_restored_on_every_way_out() {
    let home = Home::new();
    let marker = marker();
    for (script, way_out) in [
        ("exit 0".to_owned(), None),
        ("stty raw -echo; exit 3".to_owned(), None),
        ("kill -9 $$".to_owned(), None),
        ("no-such-command".to_owned(), None),
        (format!("echo ready; sleep {marker}"), Some(Signal::TERM)),
        (format!("echo ready; sleep {marker}"), Some(Signal::HUP)),
    ] {
        // The modes of a fresh terminal, which a program that ends at once does not change.
        let mut untouched = Terminal::start(&home, Command::new("true"), 24, 80);
        untouched.wait();
        let mut terminal = run(&home, &script);
        if let Some(signal) = way_out {
            terminal.expect("ready");
            terminal.signal(signal);
        }
        terminal.wait();
        assert_eq!(
            terminal.modes(),
            untouched.modes(),
            "after {script:?} and {way_out:?}"
        );
    }
    wait_until("nothing sleeps any more", Duration::from_secs(20), || {
        sleepers(&marker).is_empty()
    });
}

#[test]
fn control_z_gives_the_shell_back_and_fg_goes_on() {
    let home = Home::new();
    let mut command = Command::new("sh");
    command.args(["-i"]);
    let mut shell = Terminal::start(&home, command, 24, 200);
    let program = home.program().to_string_lossy().into_owned();
    shell.send("PS1='> '; stty -echo\r");
    shell.send(&format!(
        "{program} run --image host -- sh -c 'echo star''ted; exec cat'\r"
    ));
    shell.expect("started");
    shell.send("first line\r");
    shell.expect("first line");
    shell.send("\u{1a}");
    shell.expect("Stopped");
    shell.send("echo back-$((40+2))\r");
    shell.expect("back-42");
    shell.send("fg\r");
    shell.send_until("second line\r", "second line");
    shell.send("\r\u{4}");
    shell.send_until("echo over-$((40+3))\r", "over-43");
    shell.send("exit\r");
    shell.wait();
}

#[test]
fn attach_opens_a_shell_in_a_kept_sandbox() {
    let home = Home::new();
    home.create("box", &[]);
    let mut terminal = Terminal::open(&home, &["attach", "box", "-e", "COLOUR=green"], 30, 90);
    terminal.send("stty size; echo $COLOUR-$((20+1))\r");
    terminal.expect("30 90");
    terminal.expect("green-21");
    terminal.send("exit 6\r");
    assert_eq!(terminal.wait().code(), Some(6));
    home.exec("box", &["echo", "still here"])
        .success()
        .expect_text("still here\n");
}

#[test]
fn without_a_terminal_there_is_none_inside() {
    let home = Home::new();
    home.run(&[], &["sh", "-c", "test -t 0 || test -t 1 || echo none"])
        .success()
        .expect_text("none\n");
}
