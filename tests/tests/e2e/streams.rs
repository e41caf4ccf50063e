//! Three byte streams, separate, as they happen, complete.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{ChildStdin, ChildStdout, Stdio},
    thread,
};

use agentkernel_tests::cli::{Home, PATIENCE, marker, sleepers, wait_for, wait_until};

#[test]
fn stdout_and_stderr_are_separate() {
    let outcome = Home::new()
        .run(&[], &["sh", "-c", "echo out; echo err >&2; echo out again"])
        .success();
    assert_eq!(outcome.text(), "out\nout again\n");
    assert_eq!(outcome.errors(), "err\n");
}

#[test]
fn every_byte_value_passes_unchanged() {
    let home = Home::new();
    let all: Vec<u8> = (0..=255).cycle().take(70_001).collect();
    for length in [0, 1, 255, 4095, 4096, 65_536, 70_001] {
        let outcome = home
            .call_with_input(["run", "--image", "host", "--", "cat"], &all[..length])
            .success();
        assert!(
            outcome.stdout == all[..length],
            "{length} bytes came back as {}",
            outcome.stdout.len()
        );
    }
}

#[test]
fn the_first_line_is_read_before_the_command_ends() {
    let home = Home::new();
    let script = "echo first; echo complaint >&2; read answer; echo \"got $answer\"";
    let mut child = home
        .command(["run", "--image", "host", "--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary can be started");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a pipe can be read");
    stderr.read_line(&mut line).expect("a pipe can be read");
    // The command cannot end before it has this answer, and we have read both lines already.
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(b"an answer\n")
        .expect("the command reads");
    stdout.read_line(&mut line).expect("a pipe can be read");
    assert_eq!(line, "first\ncomplaint\ngot an answer\n");
    wait_for(child, PATIENCE).success();
}

#[test]
fn without_stdin_a_reader_sees_the_end_at_once() {
    Home::new().run(&[], &["cat"]).success().expect_text("");
}

#[test]
fn a_closed_stdin_reaches_the_command() {
    let outcome = Home::new().call_with_input(["run", "--image", "host", "--", "wc", "-c"], &[b'x'; 12_345]);
    assert_eq!(outcome.success().text().trim(), "12345");
}

#[test]
fn nothing_is_lost_at_the_exit() {
    let home = Home::new();
    for round in 0..20 {
        let outcome = home.run(&[], &["head", "-c", "300001", "/dev/zero"]).success();
        assert_eq!(outcome.stdout.len(), 300_001, "round {round}");
    }
}

#[test]
fn two_full_streams_do_not_block_each_other() {
    let script = "head -c 8388608 /dev/zero >&2 & head -c 8388608 /dev/zero; wait";
    let outcome = Home::new().run(&[], &["sh", "-c", script]).success();
    assert_eq!((outcome.stdout.len(), outcome.stderr.len()), (8 << 20, 8 << 20));
}

#[test]
fn a_reader_that_leaves_ends_the_run() {
    let home = Home::new();
    let marker = marker();
    let script = format!("yes; sleep {marker}");
    let mut child = home.spawn(["run", "--image", "host", "--", "sh", "-c", &script]);
    let mut line = [0; 2];
    let mut stdout = child.stdout.take().expect("piped");
    stdout.read_exact(&mut line).expect("a pipe can be read");
    assert_eq!(&line, b"y\n");
    drop(stdout);
    // Which code it has is the shell's business; that it ends, and what is left, is ours.
    wait_for(child, PATIENCE);
    wait_until("nothing is left of the run", PATIENCE, || {
        sleepers(&marker).is_empty()
    });
}

#[test]
fn many_mebibytes_pass_through_stdin_and_stdout() {
    let bytes = match std::env::var_os("AGENTKERNEL_TEST_LARGE") {
        Some(_) => 1 << 30,
        None => 64 << 20,
    };
    let home = Home::new();
    let mut child = home
        .command(["run", "--image", "host", "--", "cat"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary can be started");
    let (stdin, stdout) = (
        child.stdin.take().expect("piped"),
        child.stdout.take().expect("piped"),
    );
    let writer = thread::spawn(move || send(stdin, bytes));
    let received = receive(stdout);
    assert_eq!(received, Ok(bytes), "the stream must be what was sent");
    writer.join().expect("the writer sends everything");
    wait_for(child, PATIENCE).success();
}

/// A stream that repeats itself only after 2^64 words: a lost or doubled chunk shows.
struct Pattern(u64);

impl Pattern {
    fn next_word(&mut self) -> [u8; 8] {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.to_le_bytes()
    }

    fn fill(&mut self, block: &mut [u8]) {
        for word in block.chunks_exact_mut(8) {
            word.copy_from_slice(&self.next_word());
        }
    }
}

const BLOCK: usize = 1 << 16;

fn send(mut stdin: ChildStdin, bytes: usize) {
    let mut pattern = Pattern(0x9e37_79b9_7f4a_7c15);
    let mut block = vec![0; BLOCK];
    for _ in 0..bytes / BLOCK {
        pattern.fill(&mut block);
        stdin.write_all(&block).expect("the command reads everything");
    }
}

/// How many bytes were right, or where the first wrong block begins.
fn receive(mut stdout: ChildStdout) -> Result<usize, usize> {
    let mut pattern = Pattern(0x9e37_79b9_7f4a_7c15);
    let (mut expected, mut block) = (vec![0; BLOCK], vec![0; BLOCK]);
    let mut total = 0;
    while stdout.read_exact(&mut block).is_ok() {
        pattern.fill(&mut expected);
        if block != expected {
            return Err(total);
        }
        total += BLOCK;
    }
    Ok(total)
}
