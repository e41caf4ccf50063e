//! argv is passed as it is, never through a shell.

use std::{ffi::OsString, os::unix::ffi::OsStringExt};

use agentkernel_tests::cli::Home;

#[test]
fn every_argument_arrives_byte_for_byte() {
    let home = Home::new();
    let awkward: Vec<OsString> = [
        &b""[..],
        b" ",
        b"a b",
        b"*",
        b"$HOME",
        b"`id`",
        b"$(id)",
        b"\n",
        b"two\nlines",
        b"\t",
        b"'",
        b"\"",
        b"\\",
        b"--",
        b"-e",
        b"--image",
        b"--flag=value",
        b"-",
        b"#",
        b";",
        b"|",
        b"&&",
        b"\xc3\xa9",
        b"\xff\xfe",
        b"\x01\x7f",
        b"~",
        b"!",
        b"{a,b}",
    ]
    .iter()
    .map(|bytes| OsString::from_vec(bytes.to_vec()))
    .collect();
    let start = [
        "run",
        "--image",
        "host",
        "--",
        "sh",
        "-c",
        "printf '%s\\0' \"$@\"",
        "name",
    ];
    let arguments = start.iter().map(OsString::from).chain(awkward.iter().cloned());
    let outcome = home.call(arguments).success();
    let expected: Vec<u8> = awkward
        .iter()
        .flat_map(|argument| [argument.as_encoded_bytes(), b"\0"].concat())
        .collect();
    assert_eq!(outcome.stdout, expected, "{}", outcome.text());
}

#[test]
fn a_long_argument_list_arrives() {
    let home = Home::new();
    let mut command = vec![
        "sh".to_owned(),
        "-c".to_owned(),
        "echo $#".to_owned(),
        "name".to_owned(),
    ];
    command.extend((0..5_000).map(|number| number.to_string()));
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    home.run(&[], &command).success().expect_text("5000\n");
}

#[test]
fn two_dashes_end_our_flags() {
    let home = Home::new();
    home.run(&[], &["echo", "--image", "other", "--no-such-flag"])
        .success()
        .expect_text("--image other --no-such-flag\n");
    home.run(&[], &["printf", "[%s]", "--", "a"])
        .success()
        .expect_text("[--][a]");
}

#[test]
fn the_commands_name_ends_our_flags_as_well() {
    let home = Home::new();
    home.call(["run", "--image", "host", "echo", "--no-network", "-e", "A=B"])
        .success()
        .expect_text("--no-network -e A=B\n");
    home.create("box", &[]);
    home.call(["exec", "box", "echo", "-w", "/nowhere"])
        .success()
        .expect_text("-w /nowhere\n");
}

#[test]
fn no_shell_reads_the_command() {
    Home::new()
        .run(&[], &["echo", "$HOME", ";", "exit", "3"])
        .success()
        .expect_text("$HOME ; exit 3\n");
}

#[test]
fn the_readmes_one_liner_prints_42() {
    let home = Home::new();
    home.call(["run", "python3", "-c", "print(6*7)"])
        .success()
        .expect_text("42\n");
}

#[test]
fn the_fallback_to_the_host_image_is_said_once_on_stderr() {
    let home = Home::new();
    let outcome = home.call(["run", "python3", "-c", "print(1)"]).success();
    assert_eq!(
        outcome
            .errors()
            .lines()
            .filter(|line| line.contains("host"))
            .count(),
        1,
        "{}",
        outcome.errors()
    );
    assert_eq!(
        home.run(&[], &["true"]).success().errors(),
        "",
        "an explicit image needs no notice"
    );
}
