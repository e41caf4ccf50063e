//! Commands with pipes.

use agentkernel_backend::{Input, Output};
use agentkernel_types::{EnvVar, ErrorKind, GuestPath, Signal};
use bytes::Bytes;

use crate::support::*;

#[tokio::test]
async fn the_first_command_runs_with_the_greeting() {
    let agent = start();
    let (stdout, stderr, exit) = agent.shell("echo out; echo err >&2; exit 7").await;
    assert_eq!(
        (&stdout[..], &stderr[..], exit),
        (&b"out\n"[..], &b"err\n"[..], Exit::code(7))
    );
}

#[tokio::test]
async fn every_exit_code_is_exact() {
    let agent = start();
    for code in 0..=255 {
        let (_, _, exit) = agent.shell(&format!("exit {code}")).await;
        assert_eq!(exit, Exit::code(code));
    }
}

#[tokio::test]
async fn death_by_a_signal_is_told_as_such() {
    let agent = start();
    for signal in [1, 2, 9, 13, 15, 31, 34, 64] {
        let (_, _, exit) = agent.shell(&format!("kill -{signal} $$; sleep 60")).await;
        assert_eq!(exit, Exit::signal(signal));
    }
}

#[tokio::test]
async fn sixty_four_mebibytes_come_back_as_they_went() {
    let agent = start();
    let mut cat = agent
        .exec(ExecSpec {
            stdin: StdinMode::Piped,
            ..spec(&["cat"])
        })
        .await
        .unwrap();
    let sink = cat.sink();
    const TOTAL: usize = 64 << 20;
    let sender = tokio::spawn(async move {
        let mut sent = 0;
        while sent < TOTAL {
            // Sizes that fit nothing.
            let length = (sent % 100_003 + 1).min(TOTAL - sent);
            sink.send(Input::Stdin((sent..sent + length).map(pattern).collect()))
                .await
                .unwrap();
            sent += length;
        }
        sink.send(Input::CloseStdin).await.unwrap();
    });
    let (mut received, mut exit) = (0, None);
    while let Some(item) = cat.next().await {
        match item.unwrap() {
            Output::Stdout(bytes) => {
                assert!(
                    bytes
                        .iter()
                        .enumerate()
                        .all(|(offset, &byte)| byte == pattern(received + offset))
                );
                received += bytes.len();
            }
            Output::Exit(code) => exit = Some(code),
            other => panic!("{other:?}"),
        }
    }
    sender.await.unwrap();
    assert_eq!((received, exit), (TOTAL, Some(Exit::SUCCESS)));
}

/// A byte that differs from its neighbours, also a chunk or a page away.
fn pattern(position: usize) -> u8 {
    (position.wrapping_mul(2_654_435_761) >> 13) as u8
}

#[tokio::test]
async fn the_environment_is_the_sandboxes_own_and_the_last_of_equal_names_wins() {
    let agent = start();
    let env = ["LANG=de", "A=1", "A=2"].map(|entry| {
        let (name, value) = entry.split_once('=').unwrap();
        EnvVar::new(name, value).unwrap()
    });
    let process = agent
        .exec(ExecSpec {
            env: env.to_vec(),
            ..spec(&["env"])
        })
        .await
        .unwrap();
    let (stdout, _, _) = process.collect(1 << 20).await.unwrap();
    let mut lines: Vec<&str> = std::str::from_utf8(&stdout).unwrap().lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["A=2", "LANG=de", "PATH=/usr/bin:/bin"]);
}

#[tokio::test]
async fn a_command_has_three_descriptors_a_session_of_its_own_and_default_signals() {
    let agent = start();
    let (stdout, _, _) = agent.run(&["ls", "/proc/self/fd"]).await;
    // The fourth is the folder that `ls` reads.
    assert_eq!(stdout, b"0\n1\n2\n3\n");
    let (stdout, _, _) = agent
        .shell("cut -d' ' -f1,5,6 /proc/$$/stat; grep -E 'Sig(Blk|Ign)' /proc/self/status")
        .await;
    let text = String::from_utf8(stdout).unwrap();
    let (numbers, masks) = text.split_once('\n').unwrap();
    let numbers: Vec<&str> = numbers.split(' ').collect();
    assert!(numbers[0] == numbers[1] && numbers[1] == numbers[2], "{text}");
    assert_eq!(masks, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

#[tokio::test]
async fn what_cannot_be_executed_is_told_by_kind_and_name() {
    let agent = start();
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (plain, garbage) = (make("plain", "x", 0o644), make("garbage", "x", 0o755));
    let interpreter = make("script", "#!/no/such/interpreter\n", 0o755);
    for (program, kind, word) in [
        ("no-such-program", ErrorKind::CommandNotFound, "no-such-program"),
        ("/no/such/program", ErrorKind::CommandNotFound, "/no/such/program"),
        ("/etc", ErrorKind::NotExecutable, "/etc"),
        (&plain, ErrorKind::NotExecutable, "permission denied"),
        (&garbage, ErrorKind::NotExecutable, "not a program"),
        (&interpreter, ErrorKind::NotExecutable, "interpreter"),
    ] {
        let error = agent.exec(spec(&[program])).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{program}");
        assert!(error.message().contains(word), "{error}");
    }
}

#[tokio::test]
async fn a_working_directory_that_is_not_there_is_named() {
    let agent = start();
    let workdir: GuestPath = "/no/such/folder".parse().unwrap();
    let error = agent
        .exec(ExecSpec {
            workdir: Some(workdir),
            ..spec(&["true"])
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidSpec);
    assert!(error.message().contains("/no/such/folder"), "{error}");
    let workdir: GuestPath = "/usr".parse().unwrap();
    let process = agent
        .exec(ExecSpec {
            workdir: Some(workdir),
            ..spec(&["pwd"])
        })
        .await
        .unwrap();
    assert_eq!(process.collect(100).await.unwrap().0, b"/usr\n");
}

#[tokio::test]
async fn the_agents_own_descriptors_are_no_working_directory() {
    let agent = start();
    for number in 3..10 {
        let workdir: GuestPath = format!("/proc/self/fd/{number}").parse().unwrap();
        let result = agent
            .exec(ExecSpec {
                workdir: Some(workdir),
                ..spec(&["pwd"])
            })
            .await;
        assert_eq!(
            result.unwrap_err().kind(),
            ErrorKind::InvalidSpec,
            "descriptor {number}"
        );
    }
}

#[tokio::test]
async fn a_background_process_does_not_hold_up_the_end() {
    let agent = start();
    let (stdout, _, exit) = agent.shell("echo before; sleep 1000 & exit 3").await;
    assert_eq!((&stdout[..], exit), (&b"before\n"[..], Exit::code(3)));
    let (stdout, _, exit) = agent.shell("yes & exit 4").await;
    assert!(stdout.iter().all(|byte| b"y\n".contains(byte)));
    assert_eq!(exit, Exit::code(4));
}

#[tokio::test]
async fn a_signal_reaches_the_whole_group() {
    let agent = start();
    let mut process = agent
        .exec(shell("sleep 1000 & echo $!; wait; sleep 1000"))
        .await
        .unwrap();
    let Some(Ok(Output::Stdout(line))) = process.next().await else {
        panic!("no output")
    };
    let child: u32 = String::from_utf8_lossy(&line).trim().parse().unwrap();
    process.sink().send(Input::Signal(Signal::TERM)).await.unwrap();
    assert_eq!(
        process.next().await.unwrap().unwrap(),
        Output::Exit(Exit::signal(15))
    );
    eventually("the child ends, too", || is_dead(child)).await;
}

#[tokio::test]
async fn a_dropped_process_is_killed_with_all_that_descend_from_it() {
    let agent = start();
    // One in a session of its own, one whose parent is in it, one that is stopped.
    let script =
        "setsid sh -c 'echo $$; sleep 1000 & echo $!; wait' & sleep 1000 & kill -STOP $!; echo $!; wait";
    let mut process = agent.exec(shell(script)).await.unwrap();
    let mut text = String::new();
    while text.lines().count() < 3 {
        let Some(Ok(Output::Stdout(bytes))) = process.next().await else {
            panic!("no output")
        };
        text.push_str(std::str::from_utf8(&bytes).unwrap());
    }
    let pids: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert!(pids.iter().all(|&pid| !is_dead(pid)));
    drop(process);
    eventually("all are killed", || pids.iter().all(|&pid| is_dead(pid))).await;
    eventually("no zombie stays", || agent.children().is_empty()).await;
    assert_eq!(agent.connection.stats(&cx()).await.unwrap().streams, 0);
}

#[tokio::test]
async fn the_end_of_a_connection_kills_its_commands_and_no_others() {
    let agent = start();
    agent.connection.ready(&cx()).await.unwrap();
    let other = tokio::net::UnixStream::connect(agent.socket()).await.unwrap();
    let other = agentkernel_agent_client::AgentConnection::open(other);
    let mut theirs = other.exec(&cx(), shell("echo $$; sleep 1000")).await.unwrap();
    let mut ours = agent.exec(shell("echo $$; sleep 1000")).await.unwrap();
    let pid = async |process: &mut agentkernel_backend::Process| match process.next().await {
        Some(Ok(Output::Stdout(line))) => String::from_utf8_lossy(&line).trim().parse::<u32>().unwrap(),
        other => panic!("{other:?}"),
    };
    let (theirs_pid, ours_pid) = (pid(&mut theirs).await, pid(&mut ours).await);
    drop((theirs, other));
    eventually("it is killed", || is_dead(theirs_pid)).await;
    assert!(!is_dead(ours_pid));
}

#[tokio::test]
async fn ten_thousand_commands_eight_at_a_time_leave_nothing() {
    let agent = start();
    agent.run(&["true"]).await;
    let before = agent.descriptors();
    let connection = agent.connection.clone();
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            let connection = connection.clone();
            tokio::spawn(async move {
                for turn in 0..1250 {
                    let code = (worker * 1250 + turn) % 256;
                    let spec = spec(&["/bin/sh", "-c", &format!("echo {worker} {turn}; exit {code}")]);
                    let process = connection.exec(&cx(), spec).await.unwrap();
                    let (stdout, stderr, exit) = process.collect(1 << 20).await.unwrap();
                    assert_eq!(stdout, format!("{worker} {turn}\n").into_bytes());
                    assert_eq!((stderr.len(), exit), (0, Exit::code(code as u8)));
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    eventually("no zombie stays", || agent.children().is_empty()).await;
    assert_eq!(agent.descriptors(), before);
}

#[tokio::test]
async fn a_reader_that_never_reads_stops_its_command_and_no_other() {
    let agent = start();
    let lazy = agent.exec(spec(&["yes"])).await.unwrap();
    let other = agent
        .exec(ExecSpec {
            stdin: StdinMode::Piped,
            ..spec(&["sleep", "1000"])
        })
        .await
        .unwrap();
    let sink = other.sink();
    let flood = tokio::spawn(async move {
        loop {
            sink.send(Input::Stdin(Bytes::from(vec![0; 64 << 10])))
                .await
                .unwrap();
        }
    });
    for _ in 0..200 {
        assert_eq!(agent.run(&["echo", "x"]).await.0, b"x\n");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kilobytes: u64 = resident.split_whitespace().next().unwrap().parse().unwrap();
    assert!(kilobytes < 16 << 10, "{kilobytes} KiB");
    flood.abort();
    drop((lazy, other));
}

#[tokio::test]
async fn more_streams_than_allowed_are_refused_and_the_rest_go_on() {
    let agent = start();
    let mut running = Vec::new();
    for _ in 0..agentkernel_protocol::MAX_STREAMS {
        running.push(agent.exec(spec(&["sleep", "1000"])).await.unwrap());
    }
    assert_eq!(
        agent.exec(spec(&["true"])).await.unwrap_err().kind(),
        ErrorKind::Exhausted
    );
    running.clear();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while agent.connection.stats(&cx()).await.unwrap().streams > 0 {
        assert!(std::time::Instant::now() < until, "the streams never end");
    }
    assert_eq!(agent.run(&["true"]).await.2, Exit::SUCCESS);
}

#[tokio::test]
async fn when_the_agent_dies_every_command_is_told() {
    let mut agent = start();
    let mut process = agent.exec(spec(&["sleep", "1000"])).await.unwrap();
    agent.process.kill().unwrap();
    let expected = Exit::signal(9).with_cause(ExitCause::SandboxStopped);
    assert_eq!(process.next().await.unwrap().unwrap(), Output::Exit(expected));
    assert!(process.next().await.is_none());
    assert_eq!(
        agent.exec(spec(&["true"])).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
}
