//! Which image a command line gets.

mod support;

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

use agentkernel_detect::{Request, Runtime, Source, detect};
use agentkernel_types::Command;
use support::{Fake, of_both, of_command};

const DEFAULT: &str = "alpine:3.24";

#[test]
fn each_command_gets_an_image_that_holds_it() {
    let table = [
        ("node app.js", "node:22-alpine"),
        ("nodejs app.js", "node:22-alpine"),
        ("npm test", "node:22-alpine"),
        ("npx cowsay", "node:22-alpine"),
        ("yarn install", "node:22-alpine"),
        ("corepack pnpm install", "node:22-alpine"),
        ("bun run x.ts", "oven/bun:1"),
        ("bunx cowsay", "oven/bun:1"),
        ("deno run x.ts", "denoland/deno:2"),
        ("cargo build", "rust:1.85-alpine"),
        ("rustc x.rs", "rust:1.85-alpine"),
        ("rustup show", "rust:1.85-alpine"),
        ("go build", "golang:1.23-alpine"),
        ("gofmt -l .", "golang:1.23-alpine"),
        ("python x.py", "python:3.12-alpine"),
        ("python3 -c print(1)", "python:3.12-alpine"),
        ("pip install x", "python:3.12-alpine"),
        ("pip3 list", "python:3.12-alpine"),
        ("uv sync", "ghcr.io/astral-sh/uv:python3.12-bookworm-slim"),
        ("uvx pytest", "ghcr.io/astral-sh/uv:python3.12-bookworm-slim"),
        ("ruff check", "ghcr.io/astral-sh/ruff:alpine"),
        ("ruby x.rb", "ruby:3.3-alpine"),
        ("gem list", "ruby:3.3-alpine"),
        ("bundle exec rails s", "ruby:3.3-alpine"),
        ("bundler install", "ruby:3.3-alpine"),
        ("rake test", "ruby:3.3-alpine"),
        ("irb", "ruby:3.3-alpine"),
        ("java -jar x.jar", "eclipse-temurin:21-alpine"),
        ("javac X.java", "eclipse-temurin:21-alpine"),
        ("jshell", "eclipse-temurin:21-alpine"),
        ("mvn package", "maven:3-eclipse-temurin-21"),
        ("gradle build", "gradle:8-jdk21"),
        ("./gradlew build", "eclipse-temurin:21"),
        ("./mvnw package", "eclipse-temurin:21"),
        ("android/gradlew build", "eclipse-temurin:21"),
        ("kotlinc x.kt", "zenika/kotlin:latest"),
        ("kotlin XKt", "zenika/kotlin:latest"),
        ("dotnet test", "mcr.microsoft.com/dotnet/sdk:8.0"),
        ("gcc x.c", "gcc:14-bookworm"),
        ("g++ x.cc", "gcc:14-bookworm"),
        ("cc x.c", "gcc:14-bookworm"),
        ("make -j2", "gcc:14-bookworm"),
        (
            "cmake -B build",
            "mcr.microsoft.com/devcontainers/cpp:1-debian-12",
        ),
        ("clang x.c", "mcr.microsoft.com/devcontainers/cpp:1-debian-12"),
        ("clang++ x.cc", "mcr.microsoft.com/devcontainers/cpp:1-debian-12"),
        ("gdb x", "mcr.microsoft.com/devcontainers/cpp:1-debian-12"),
        ("php x.php", "php:8.3-alpine"),
        ("composer install", "composer:2"),
        ("elixir x.exs", "elixir:1.16-alpine"),
        ("mix test", "elixir:1.16-alpine"),
        ("iex", "elixir:1.16-alpine"),
        ("terraform plan", "hashicorp/terraform:1.10"),
        ("lua x.lua", "nickblah/lua:5.4-alpine"),
        ("luarocks list", "nickblah/lua:5.4-luarocks-alpine"),
        ("luajit x.lua", "nickblah/luajit:2.1-luarocks-alpine"),
        ("sh -c true", DEFAULT),
        ("ash", DEFAULT),
        ("bash x.sh", "bash:5"),
        ("zsh", "zshusers/zsh:5.9"),
        // With a path: only where interpreters live.
        ("/usr/bin/python3 x.py", "python:3.12-alpine"),
        ("/usr/local/bin/node x.js", "node:22-alpine"),
        ("/bin/bash", "bash:5"),
        // Through other programs.
        ("env A=1 B=2 python3 x.py", "python:3.12-alpine"),
        ("env -i -u HOME PATH=/bin npm test", "node:22-alpine"),
        ("/usr/bin/env ruby x.rb", "ruby:3.3-alpine"),
        ("env -- A=1 go run .", "golang:1.23-alpine"),
        ("sudo -u root make install", "gcc:14-bookworm"),
        ("nice -n 5 cargo build", "rust:1.85-alpine"),
        ("timeout -s KILL 30s php x.php", "php:8.3-alpine"),
        ("timeout 30 env A=1 nohup deno task x", "denoland/deno:2"),
        ("stdbuf -o L mix test", "elixir:1.16-alpine"),
        ("time bun test", "oven/bun:1"),
        // With a version in the name.
        ("python3.11 x.py", "python:3.11-alpine"),
        ("pip3.10 list", "python:3.10-alpine"),
    ];
    for (line, image) in table {
        let found = of_command(line);
        assert_eq!(
            (found.image.as_str(), found.source),
            (image, Source::Command),
            "{line}: {}",
            found.reason
        );
        assert!(found.runtime.is_some(), "{line}");
    }
}

#[test]
fn what_is_not_recognised_gets_the_default() {
    let table = [
        "hello",
        "./python",
        "./script.py",
        "/opt/x/python3",
        "../node",
        "bin/npm",
        "/home/me/.cargo/bin/cargo",
        "/gradlew",
        "env",
        "env A=1",
        "env -S python3",
        "env env env env env env env env env python",
        "sudo",
        "timeout 5",
        "gotenberg",
        "Python",
        "nodejs18",
        "python3x",
        "python99.99",
        "pythonx.y",
        "PIP",
        "-c",
    ];
    for line in table {
        let found = of_command(line);
        assert_eq!(
            (found.image.as_str(), found.source),
            (DEFAULT, Source::Default),
            "{line}: {}",
            found.reason
        );
        assert_eq!(found.runtime, None, "{line}");
    }
}

#[test]
fn tools_without_an_image_say_so_and_let_the_next_source_decide() {
    for line in [
        "pnpm test",
        "pnpx x",
        "tsx x.ts",
        "ts-node x.ts",
        "tsc",
        "poetry run x",
        "pytest",
        "mypy .",
        "rustfmt x.rs",
        "clippy-driver",
        "rails s",
        "csc x.cs",
        "fsc x.fs",
        "env A=1 pytest -q",
        "/usr/bin/ninja",
    ] {
        let alone = of_command(line);
        assert_eq!(
            (alone.image.as_str(), alone.source),
            (DEFAULT, Source::Default),
            "{line}"
        );
        assert!(
            alone.reason.contains("no image known here holds"),
            "{line}: {}",
            alone.reason
        );
        let within = of_both(line, &Fake::of_names(&["package.json"]));
        assert_eq!(
            (within.image.as_str(), within.source),
            ("node:22-alpine", Source::ProjectFiles),
            "{line}"
        );
        assert!(
            within.reason.contains("no image known here holds"),
            "{line}: {}",
            within.reason
        );
    }
    assert_eq!(
        of_both("pnpm test", &Fake::of_names(&["pnpm-lock.yaml"])).reason,
        "the project has pnpm-lock.yaml; no image known here holds pnpm: run `corepack pnpm`, which the Node.js image has"
    );
}

#[test]
fn a_shell_with_a_script_says_that_only_the_shell_was_looked_at() {
    for line in ["sh -c npm", "bash -lc x", "zsh -ec x"] {
        assert!(
            of_command(line).reason.contains("only the shell is looked at"),
            "{line}"
        );
    }
    for line in ["sh x.sh", "bash --rcfile -c", "python -c x"] {
        assert!(!of_command(line).reason.contains("only the shell"), "{line}");
    }
}

#[test]
fn the_command_beats_the_configuration_which_beats_the_project() {
    let project = Fake::new(&[("package.json", "{}"), ("Procfile", "web: ruby x.rb")]);
    let command = support::command("go build");
    let all = Request {
        command: Some(&command),
        runtime: Some(Runtime::Rust),
        project: Some(&project),
    };
    assert_eq!(detect(&all).source, Source::Command);
    let unknown = support::command("./start");
    let configured = detect(&Request {
        command: Some(&unknown),
        ..all
    });
    assert_eq!(
        (configured.source, configured.image.as_str()),
        (Source::Configuration, "rust:1.85-alpine")
    );
    assert_eq!(configured.reason, "agentkernel.toml sets the runtime rust");
    let project = detect(&Request {
        command: Some(&unknown),
        runtime: None,
        ..all
    });
    assert_eq!(
        (project.source, project.image.as_str()),
        (Source::ProjectFiles, "node:22-alpine")
    );
}

#[test]
fn every_runtime_of_the_configuration_has_an_image_and_parses_back() {
    for runtime in Runtime::ALL {
        assert_eq!(runtime.as_str().parse(), Ok(*runtime));
        let found = detect(&Request {
            runtime: Some(*runtime),
            ..Request::default()
        });
        assert_eq!(
            (found.runtime, found.source),
            (Some(*runtime), Source::Configuration)
        );
    }
    assert!("cobol".parse::<Runtime>().is_err());
}

#[test]
fn a_command_that_is_not_text_is_not_recognised() {
    let command = Command::new([OsString::from_vec(vec![0xff, b'/'])]).expect("a command");
    let found = detect(&Request {
        command: Some(&command),
        ..Request::default()
    });
    assert_eq!(found.source, Source::Default);
}
