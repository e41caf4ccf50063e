//! What a command sees around itself: variables, folder, user.

use agentkernel_tests::cli::Home;

const SHOW: [&str; 3] = ["sh", "-c", "printf '%s|%s|%s' \"$ONE\" \"$TWO\" \"$THREE\""];

#[test]
fn variables_are_set_passed_and_read_from_a_file() {
    let home = Home::new();
    home.write("vars", "# a comment\n\nTWO=from the file\nTHREE=a=b\n");
    let arguments = [
        "run",
        "--image",
        "host",
        "-e",
        "ONE=1 = one",
        "--env-file",
        "vars",
        "-e",
        "PASSED",
        "--",
    ];
    let mut command = home.command(arguments.iter().chain(&SHOW));
    command.env("PASSED", "yes");
    let outcome = agentkernel_tests::cli::wait_for(
        command.spawn().expect("the binary can be started"),
        agentkernel_tests::cli::PATIENCE,
    );
    outcome.success().expect_text("1 = one|from the file|a=b");
}

#[test]
fn a_named_variable_passes_from_the_caller() {
    let home = Home::new();
    let mut command = home.command(["run", "--image", "host", "-e", "ONE", "--"].iter().chain(&SHOW));
    command.env("ONE", "line 1\nline 2");
    let child = command.spawn().expect("the binary can be started");
    agentkernel_tests::cli::wait_for(child, agentkernel_tests::cli::PATIENCE)
        .success()
        .expect_text("line 1\nline 2||");
}

#[test]
fn a_flag_wins_over_the_file_and_the_last_flag_over_the_first() {
    let home = Home::new();
    home.write("vars", "ONE=file\nTWO=file\n");
    let flags = ["--env-file", "vars", "-e", "ONE=first", "-e", "ONE=last"];
    home.run(&flags, &SHOW).success().expect_text("last|file|");
}

#[test]
fn the_callers_environment_stays_outside() {
    let home = Home::new();
    let mut command = home.command(["run", "--image", "host", "--", "env"]);
    command
        .env("AK_PROBE_TOKEN", "do-not-show")
        .env("LD_PRELOAD_PROBE", "do-not-show");
    let child = command.spawn().expect("the binary can be started");
    let outcome = agentkernel_tests::cli::wait_for(child, agentkernel_tests::cli::PATIENCE).success();
    assert!(!outcome.text().contains("do-not-show"), "{}", outcome.text());
    assert!(!outcome.text().contains("AGENTKERNEL_HOME"), "{}", outcome.text());
    assert!(
        outcome.text().contains("HOME=/home/sandbox"),
        "{}",
        outcome.text()
    );
}

#[test]
fn the_working_directory_is_the_one_asked_for() {
    let home = Home::new();
    home.run(&["-w", "/tmp"], &["pwd"])
        .success()
        .expect_text("/tmp\n");
    home.run(&[], &["pwd"]).success().expect_text("/home/sandbox\n");
    home.create("box", &[]);
    home.call(["exec", "-w", "/usr", "box", "--", "pwd"])
        .success()
        .expect_text("/usr\n");
}

#[test]
fn the_sandbox_has_one_ordinary_user() {
    let home = Home::new();
    home.run(&[], &["id", "-u"]).success().expect_text("1000\n");
    home.run(&[], &["id", "-un"]).success().expect_text("sandbox\n");
    home.run(&["-u", "1000"], &["id", "-u"])
        .success()
        .expect_text("1000\n");
    home.run(&["-u", "sandbox"], &["id", "-u"])
        .success()
        .expect_text("1000\n");
}

#[test]
fn another_user_is_honoured_or_refused_but_never_ignored() {
    let home = Home::new();
    for user in ["0", "4242"] {
        let outcome = home.run(&["-u", user], &["id", "-u"]);
        match outcome.status.code() {
            Some(0) => drop(outcome.expect_text(&format!("{user}\n"))),
            _ => drop(outcome.refused("user")),
        }
    }
}

#[test]
fn exec_adds_to_the_sandboxs_own_environment() {
    let home = Home::new();
    home.create("box", &["-e", "ONE=created", "-e", "TWO=created"]);
    let arguments = ["exec", "-e", "TWO=now", "box", "--"];
    home.call(arguments.iter().chain(&SHOW))
        .success()
        .expect_text("created|now|");
    home.exec("box", &SHOW).success().expect_text("created|created|");
}
