//! The command line as people type it.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
};

use agentkernel_types::{ImageRef, Isolation, NetworkMode, Profile};
use clap::{CommandFactory as _, Parser as _, error::ErrorKind};

use super::*;

fn parse<S: AsRef<OsStr>>(words: &[S]) -> Result<Verb, clap::Error> {
    let words = std::iter::once(OsStr::new("agentkernel")).chain(words.iter().map(AsRef::as_ref));
    match Arguments::try_parse_from(words)?.command {
        TopCommand::Verb(verb) | TopCommand::Sandbox(verb) => Ok(verb),
        other => panic!("{other:?} is no verb"),
    }
}

fn run(line: &str) -> RunArgs {
    let words: Vec<&str> = std::iter::once("run").chain(line.split(' ')).collect();
    match parse(&words).unwrap_or_else(|error| panic!("{line}: {error}")) {
        Verb::Run(args) => args,
        other => panic!("{other:?}"),
    }
}

fn refused(line: &str) -> ErrorKind {
    match parse(&line.split(' ').collect::<Vec<_>>()) {
        Err(error) => error.kind(),
        Ok(verb) => panic!("{line} was taken as {verb:?}"),
    }
}

fn shown<T: ToString>(list: &[T]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

#[test]
fn no_two_flags_have_the_same_letter() {
    Arguments::command().debug_assert();
}

#[test]
fn every_flag_of_run_arrives_in_its_long_and_in_its_short_form() {
    for line in [
        "-i python:3.12 x",
        "--image python:3.12 x",
        "--image=python:3.12 x",
    ] {
        assert_eq!(
            run(line).isolation.image,
            Some(ImageRef::Registry("python:3.12".into()))
        );
    }
    assert_eq!(
        run("--profile restrictive x").isolation.profile,
        Some(Profile::Restrictive)
    );
    for line in [
        "-p 8080:80 -p 0.0.0.0:53:53/udp x",
        "--publish 8080:80 --publish 0.0.0.0:53:53/udp x",
    ] {
        assert_eq!(
            shown(&run(line).isolation.ports),
            ["127.0.0.1:8080:80", "0.0.0.0:53:53/udp"]
        );
    }
    for line in ["-B native x", "--backend native x"] {
        assert_eq!(run(line).isolation.backend.unwrap().as_str(), "native");
    }
    for line in ["-m 512m x", "--memory 512m x"] {
        assert_eq!(run(line).isolation.memory.unwrap().bytes(), 512 << 20);
    }
    for line in ["-C 1.5 x", "--cpus 1.5 x"] {
        assert_eq!(run(line).isolation.cpus.unwrap().millis(), 1500);
    }
    for line in ["-c f.toml x", "--config f.toml x"] {
        assert_eq!(run(line).isolation.config.unwrap().to_str(), Some("f.toml"));
    }
    for line in ["-w /src x", "--workdir /src x"] {
        assert_eq!(run(line).isolation.workdir.unwrap().as_str(), "/src");
    }
    for line in ["-u 1000:1000 x", "--user 1000:1000 x"] {
        assert_eq!(run(line).isolation.user.unwrap().to_string(), "1000:1000");
    }
    for line in ["-a codex x", "--agent codex x"] {
        assert_eq!(run(line).isolation.agent.unwrap(), "codex");
    }
    for line in ["-v /a:/b:ro -v c:/d x", "--mount /a:/b:ro --volume c:/d x"] {
        let mounts = run(line).isolation.mounts;
        assert_eq!(
            (mounts.len(), mounts[0].read_only, mounts[1].read_only),
            (2, true, false)
        );
    }
    for line in ["-e A=1 -e B x", "--env A=1 --env B x"] {
        assert_eq!(run(line).environment.env.len(), 2);
    }
    assert_eq!(
        run("--isolation wasm+vm x").isolation.isolation,
        Some(Isolation::WasmVm)
    );
    assert_eq!(run("--network none x").isolation.network, Some(NetworkMode::None));
    assert!(run("--no-network x").isolation.no_network);
    let rules =
        run("--allow preset:npm --allow [2001:db8::]/32:443 --allow host:11434 --deny *:25 x").isolation;
    assert_eq!(
        shown(&rules.allow),
        ["preset:npm", "[2001:db8::]/32:443", "host:11434"]
    );
    assert_eq!(shown(&rules.deny), ["*:25"]);
    assert_eq!(
        shown(&run("--dns 192.0.2.1 --dns [2001:db8::1]:5353 x").isolation.dns),
        ["192.0.2.1:53", "[2001:db8::1]:5353"]
    );
    assert_eq!(run("--pids 64 x").isolation.pids, Some(64));
    assert_eq!(run("--disk 1g x").isolation.disk.unwrap().bytes(), 1 << 30);
    assert_eq!(
        run("--timeout 250ms x")
            .isolation
            .timeout
            .unwrap()
            .duration()
            .as_millis(),
        250
    );
    assert_eq!(
        run("--with-credential .ssh --with-credential .aws x")
            .isolation
            .credentials,
        [".ssh", ".aws"]
    );
    assert_eq!(run("--env-file a --env-file b x").environment.env_file.len(), 2);
    assert_eq!(run("--name box x").name.unwrap().as_str(), "box");
    assert!(run("-k x").keep && run("--keep x").keep);
    assert!(run("-t x").terminal.tty && run("--tty x").terminal.tty);
    assert!(run("-T x").terminal.no_tty && run("--no-tty x").terminal.no_tty);
    assert!(run("-q x").quiet && run("--quiet x").quiet);
    assert!(run("--json x").json && run("--explain x").explain);
}

#[test]
fn a_grant_can_be_given_taken_and_left_to_the_profile() {
    for (line, expected) in [
        ("x", None),
        ("--read-only x", Some(true)),
        ("--read-only=false x", Some(false)),
    ] {
        assert_eq!(run(line).isolation.read_only, expected);
    }
    assert_eq!(run("--mount-cwd=true x").isolation.mount_cwd, Some(true));
    assert_eq!(run("--mount-home x").isolation.mount_home, Some(true));
    // The word after it is the command, and never its value.
    let args = run("--pass-env false");
    assert_eq!(
        (args.isolation.pass_env, args.command),
        (Some(true), vec!["false".into()])
    );
}

#[test]
fn everything_from_the_command_on_belongs_to_it() {
    for (line, command) in [
        ("-k sh -c -k", &["sh", "-c", "-k"][..]),
        ("sh --help --json -- x", &["sh", "--help", "--json", "--", "x"]),
        ("-- --odd -k", &["--odd", "-k"]),
        ("-- -- x", &["--", "x"]),
        ("-k -- sh -- -c", &["sh", "--", "-c"]),
        ("- -i x", &["-", "-i", "x"]),
    ] {
        assert_eq!(
            run(line).command,
            command.iter().map(OsString::from).collect::<Vec<_>>(),
            "{line}"
        );
    }
}

#[test]
fn an_argument_may_have_any_bytes() {
    let odd = OsStr::from_bytes(b"\xff\xfe=");
    let Verb::Run(args) = parse(&[OsStr::new("run"), OsStr::new("echo"), odd, OsStr::new("")]).unwrap()
    else {
        panic!("run is run")
    };
    assert_eq!(args.command, [OsStr::new("echo"), odd, OsStr::new("")]);
}

#[test]
fn exec_has_its_flags_before_and_after_the_name() {
    for line in [
        "exec -w /a -e A=1 --timeout 5s box ls -l",
        "exec box -w /a -e A=1 --timeout 5s -- ls -l",
    ] {
        let Verb::Exec(args) = parse(&line.split(' ').collect::<Vec<_>>()).unwrap() else {
            panic!("{line}")
        };
        assert_eq!(args.name.as_str(), "box");
        assert_eq!(args.workdir.unwrap().as_str(), "/a");
        assert_eq!(args.environment.env.len(), 1);
        assert_eq!(args.timeout.unwrap().to_string(), "5s");
        assert_eq!(args.command, ["ls", "-l"]);
    }
    let Verb::Exec(args) = parse(&["exec", "-d", "box", "sleep", "-d"]).unwrap() else {
        panic!("exec is exec")
    };
    assert!(args.detach);
    assert_eq!(args.command, ["sleep", "-d"]);
}

#[test]
fn the_full_form_and_the_aliases_are_the_same_verbs() {
    for line in ["list -q", "ls -q", "ps -q", "sandbox list -q", "sb ls -q"] {
        let verb = parse(&line.split(' ').collect::<Vec<_>>()).unwrap();
        assert!(
            matches!(
                verb,
                Verb::List(ListArgs {
                    quiet: true,
                    json: false
                })
            ),
            "{line}"
        );
    }
    for line in ["rm -f a b", "remove -f a b", "sandbox rm -f a b"] {
        let Verb::Remove(args) = parse(&line.split(' ').collect::<Vec<_>>()).unwrap() else {
            panic!("{line}")
        };
        assert!(args.force && args.names.len() == 2);
    }
    for line in ["attach -e K box", "shell -e K=V box", "sb attach box"] {
        assert!(
            matches!(parse(&line.split(' ').collect::<Vec<_>>()), Ok(Verb::Attach(_))),
            "{line}"
        );
    }
    for line in [
        "logs box 0123abcd",
        "sandbox exec-logs box 0123abcd --stderr",
        "logs -f box",
    ] {
        assert!(
            matches!(parse(&line.split(' ').collect::<Vec<_>>()), Ok(Verb::Logs(_))),
            "{line}"
        );
    }
}

#[test]
fn what_there_is_not_is_refused() {
    for line in [
        "run --fast x",
        "run -F x",
        "run --template t x",
        "run --ttl 1h x",
        "run -P 80 x",
        "run --ssh x",
        "run --secret S x",
        "run -S S x",
        "run --devcontainer f x",
        "run --branch b x",
        "run --receipt r x",
        "exec box --sudo x",
        "exec box --receipt r x",
        "attach box --record f",
        "create --git-worktree box",
        "create --no-start box",
        "create --label a=b box",
        "create -l a=b box",
        "create --ttl 1h box",
        "create --network-name n box",
        "list --project",
    ] {
        assert_eq!(refused(line), ErrorKind::UnknownArgument, "{line}");
    }
    for line in [
        "snapshot list",
        "serve",
        "pause box",
        "sandbox fork box",
        "secret list",
        "template list",
    ] {
        assert_eq!(refused(line), ErrorKind::InvalidSubcommand, "{line}");
    }
}

#[test]
fn impossible_values_and_combinations_are_refused() {
    for line in [
        "run --profile lax x",
        "run -p lax x",
        "run -p 8080:0 x",
        "run --publish ::1:8080:80 x",
        "run --allow https://example.org x",
        "run --allow host x",
        "run --allow preset:NPM x",
        "run --deny *example.org x",
        "run --dns dns.example x",
        "run --dns 192.0.2.1:0 x",
        "run --pull sometimes x",
        "create --pull sometimes box",
        "image import a -e =b",
        "image load --from buildah a",
        "image export --format zip a",
        "image prune --keep lots",
        "run --isolation none x",
        "run --network bridge x",
        "run -m 0 x",
        "run -m lots x",
        "run -C 0 x",
        "run --pids 0 x",
        "run --timeout 0 x",
        "run -v /a x",
        "run -v /a:b x",
        "run -w src x",
        "run -u a:b:c x",
        "run -i .. x",
        "run -e =1 x",
        "run --name .. x",
        "stop box -t never",
        "exec a/b x",
        "logs box XYZ",
        "completions tcsh",
    ] {
        assert!(
            matches!(
                refused(line),
                ErrorKind::ValueValidation | ErrorKind::InvalidValue
            ),
            "{line}"
        );
    }
    for line in [
        "run --network host --no-network x",
        "run --no-network --allow a.example x",
        "run --no-network -p 8080:80 x",
        "run --no-network --dns 192.0.2.1 x",
        "create --no-network --publish 80 box",
        "run --build --image i x",
        "image list -q --json",
        "image prune --all --keep 1g",
        "run -t -T x",
        "exec -d -i box x",
        "exec -d -t box x",
        "exec -d --timeout 5s box x",
        "list -q --json",
    ] {
        assert_eq!(refused(line), ErrorKind::ArgumentConflict, "{line}");
    }
    for line in ["exec box", "remove", "cp a", "image pull", "image import"] {
        assert_eq!(refused(line), ErrorKind::MissingRequiredArgument, "{line}");
    }
}
