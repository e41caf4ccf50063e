//! What the cases run does the same in a POSIX shell as its description says. Only harmless programs are run here.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use agentkernel_conformance::Program;

fn run(program: &Program, input: &[u8]) -> Output {
    let command = program.posix();
    let mut child = Command::new(command.program())
        .args(&command.argv()[1..])
        .env("NAME", "a \"value\" $X")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the host has a shell");
    // A program that does not read its input may have ended.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    child.wait_with_output().expect("it ends")
}

fn says(program: Program, stdout: &[u8]) {
    let output = run(&program, b"the input\n");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(stdout),
        "{program:?}"
    );
}

#[test]
fn programs_print_what_they_promise() {
    says(Program::Arguments(vec![]), b"");
    says(
        Program::Arguments(["a b", "", "*", "%s\\n", "-n"].map(Into::into).to_vec()),
        b"a b\0\0*\0%s\\n\0-n\0",
    );
    says(Program::Variable("NAME".to_owned()), b"a \"value\" $X");
    says(Program::Variable("NO_SUCH_NAME_HERE".to_owned()), b"<unset>");
    says(Program::Folder, b"/\n");
    says(Program::Cat, b"the input\n");
    says(Program::Count, b"10\n");
    says(
        Program::Emit {
            bytes: 40_001,
            code: 0,
        },
        &Program::pattern(40_001),
    );
    says(Program::Alternate(3), b"o1\no2\no3\n");
}

#[test]
fn programs_end_as_they_promise() {
    use std::os::unix::process::ExitStatusExt;
    for code in [0, 1, 42, 127, 255] {
        assert_eq!(
            run(&Program::Exit(code), b"").status.code(),
            Some(i32::from(code))
        );
    }
    for signal in [9, 10, 15] {
        assert_eq!(
            run(&Program::SignalSelf(signal), b"").status.signal(),
            Some(i32::from(signal))
        );
    }
    assert_eq!(
        run(
            &Program::Emit {
                bytes: 70_000,
                code: 5
            },
            b""
        )
        .status
        .code(),
        Some(5)
    );
    assert_eq!(run(&Program::IsTerminal, b"").status.code(), Some(1));
    assert_eq!(
        run(&Program::Exists("/no/such/file".to_owned()), b"")
            .status
            .code(),
        Some(1)
    );
    assert_eq!(
        run(&Program::CatFile("/no/such/file".to_owned()), b"")
            .status
            .code(),
        Some(1)
    );
}

#[test]
fn saying_something_keeps_the_streams_apart() {
    let program = Program::Say {
        stdout: "%s one".to_owned(),
        stderr: "two".to_owned(),
        code: 3,
    };
    let output = run(&program, b"");
    assert_eq!(output.stdout, b"%s one");
    assert_eq!(output.stderr, b"two");
    assert_eq!(output.status.code(), Some(3));
}
