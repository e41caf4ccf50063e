//! Pulls in a process of its own: for variables of the environment, for locks, and to be killed.

use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use super::{Bench, reason};

const IMAGE: &str = "PULL_TEST_IMAGE";
const FOLDER: &str = "PULL_TEST_FOLDER";
const INSECURE: &str = "PULL_TEST_INSECURE";
const CONFIG: &str = "PULL_TEST_CONFIG";

/// A process that pulls `image` into the bench's store. Only what is in `environment` is set beside that.
pub fn command(bench: &Bench, image: &str, environment: &[(&str, &str)]) -> Command {
    let insecure: Vec<_> = bench.registries.hosts.keys().cloned().collect();
    let mut command = Command::new(std::env::current_exe().expect("a running test"));
    command.args(["--exact", "the_child_of_another_test", "--ignored", "--nocapture"]);
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command
        .env(IMAGE, image)
        .env(FOLDER, bench.folder.path())
        .env(INSECURE, insecure.join(","));
    command
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub fn spawn(bench: &Bench, image: &str) -> Child {
    command(bench, image, &[]).spawn().expect("our own program")
}

/// `ok ID` or `REASON MESSAGE`.
pub fn verdict(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.split_once("verdict: "));
    line.map_or_else(|| format!("{output:?}"), |(_, verdict)| verdict.to_owned())
}

/// The body of the test `the_child_of_another_test`, in every test binary that starts children.
pub fn run() {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let hosts = variable(INSECURE);
    let mut bench = Bench::new(&hosts.split(',').collect::<Vec<_>>());
    bench.store = agentkernel_image::Store::new(Path::new(&variable(FOLDER)).join("images"));
    bench.registries.docker_config = std::env::var_os(CONFIG).map(Into::into);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let pulled = runtime.block_on(bench.pull(&variable(IMAGE)));
    match &pulled {
        Ok(image) => println!("verdict: ok {}", image.id),
        Err(error) => println!("verdict: {} {error}", reason(error)),
    }
    assert!(
        !variable(IMAGE).is_empty(),
        "this is for the other tests of this file"
    );
}
