//! Ordinary programs run under the filter.

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, Output},
};

use super::{super::program, kernel::install};

/// None where the program is not installed.
fn under_the_filter(name: &str, arguments: &[&str]) -> Option<Output> {
    let filter = program();
    let mut command = Command::new(name);
    command.args(arguments);
    // SAFETY: only system calls.
    unsafe {
        command.pre_exec(move || {
            install(&filter);
            Ok(())
        });
    }
    match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        output => Some(output.expect("the program starts")),
    }
}

#[track_caller]
fn prints(name: &str, arguments: &[&str], expected: &str) {
    let Some(output) = under_the_filter(name, arguments) else {
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        text.trim(),
        expected,
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{name}: {}", output.status);
}

#[test]
fn a_shell_makes_pipes_and_children() {
    prints("/bin/sh", &["-c", "echo one two | wc -w; (exit 0) && :"], "2");
}

#[test]
fn python_makes_threads_processes_sockets_and_memory_maps() {
    let script = "
import mmap, multiprocessing, os, socket, subprocess, tempfile, threading
threading.Thread(target=lambda: None).start()
subprocess.run(['/bin/true'], check=True)
a, b = socket.socketpair(); a.send(b'x'); b.recv(1)
s = socket.create_server(('127.0.0.1', 0)); s.close()
m = mmap.mmap(-1, 4096); m[0] = 1
p = multiprocessing.get_context('fork').Process(target=lambda: None); p.start(); p.join()
print(p.exitcode, socket.if_nameindex()[0][1])
";
    prints("/usr/bin/python3", &["-c", script], "0 lo");
}

#[test]
fn git_makes_a_repository() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    prints("git", &["init", "--quiet", path], "");
    prints("git", &["-C", path, "status", "--short"], "");
}

#[test]
fn a_tracer_traces_its_own_child() {
    prints(
        "strace",
        &["-f", "-o", "/dev/null", "/bin/sh", "-c", "echo traced"],
        "traced",
    );
}

#[test]
fn a_compiler_compiles() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("program").to_str().expect("UTF-8").to_owned();
    let script =
        format!("echo 'int main(void) {{ return 0; }}' | cc -x c -o {path} - && {path} && echo built");
    let has_compiler = Command::new("cc").arg("--version").output().is_ok();
    if has_compiler {
        prints("/bin/sh", &["-c", &script], "built");
    }
}
