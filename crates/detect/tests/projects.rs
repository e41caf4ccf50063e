//! Which image a project gets, and which version.

mod support;

use agentkernel_detect::{Runtime, Source};
use support::{Fake, of_both, of_project};

#[test]
fn each_kind_of_project_is_recognised_by_its_files() {
    let table: &[(&[&str], Runtime, &str)] = &[
        (&["package.json"], Runtime::Node, "node:22-alpine"),
        (&["yarn.lock"], Runtime::Node, "node:22-alpine"),
        (&["pnpm-lock.yaml"], Runtime::Node, "node:22-alpine"),
        (&["tsconfig.json"], Runtime::Node, "node:22-alpine"),
        (&["package.json", "bun.lock"], Runtime::Bun, "oven/bun:1"),
        (&["package.json", "bun.lockb"], Runtime::Bun, "oven/bun:1"),
        (&["package.json", "deno.json"], Runtime::Deno, "denoland/deno:2"),
        (&["deno.jsonc"], Runtime::Deno, "denoland/deno:2"),
        (&["Cargo.toml"], Runtime::Rust, "rust:1.85-alpine"),
        (&["go.mod", "Makefile"], Runtime::Go, "golang:1.23-alpine"),
        (&["pyproject.toml"], Runtime::Python, "python:3.12-alpine"),
        (&["requirements.txt"], Runtime::Python, "python:3.12-alpine"),
        (&["Pipfile"], Runtime::Python, "python:3.12-alpine"),
        (
            &["pyproject.toml", "uv.lock"],
            Runtime::Python,
            "ghcr.io/astral-sh/uv:python3.12-bookworm-slim",
        ),
        (&["Gemfile"], Runtime::Ruby, "ruby:3.3-alpine"),
        (&["x.gemspec"], Runtime::Ruby, "ruby:3.3-alpine"),
        (&["pom.xml"], Runtime::Java, "maven:3-eclipse-temurin-21"),
        (&["build.gradle"], Runtime::Java, "gradle:8-jdk21"),
        (&["build.gradle.kts", "Main.kt"], Runtime::Java, "gradle:8-jdk21"),
        (&["Main.kt"], Runtime::Kotlin, "zenika/kotlin:latest"),
        (&["Main.java"], Runtime::Java, "eclipse-temurin:21-alpine"),
        (
            &["App.csproj"],
            Runtime::Dotnet,
            "mcr.microsoft.com/dotnet/sdk:8.0",
        ),
        (
            &["App.sln", "build.sh"],
            Runtime::Dotnet,
            "mcr.microsoft.com/dotnet/sdk:8.0",
        ),
        (
            &["Program.cs"],
            Runtime::Dotnet,
            "mcr.microsoft.com/dotnet/sdk:8.0",
        ),
        (&["Makefile"], Runtime::C, "gcc:14-bookworm"),
        (&["main.c", "run.sh"], Runtime::C, "gcc:14-bookworm"),
        (&["main.cpp"], Runtime::C, "gcc:14-bookworm"),
        (
            &["CMakeLists.txt", "main.cpp", "Makefile"],
            Runtime::C,
            "mcr.microsoft.com/devcontainers/cpp:1-debian-12",
        ),
        // A Makefile says nothing about the language.
        (&["Makefile", "composer.json"], Runtime::Php, "composer:2"),
        (&["Makefile", "index.php"], Runtime::Php, "php:8.3-alpine"),
        (&["Makefile", "mix.exs"], Runtime::Elixir, "elixir:1.16-alpine"),
        (
            &["Makefile", "main.tf"],
            Runtime::Terraform,
            "hashicorp/terraform:1.10",
        ),
        (&["Makefile", "x.lua"], Runtime::Lua, "nickblah/lua:5.4-alpine"),
        (&["Makefile", "x.py"], Runtime::Python, "python:3.12-alpine"),
        (&["Makefile", "package.json"], Runtime::Node, "node:22-alpine"),
        (&["x.exs"], Runtime::Elixir, "elixir:1.16-alpine"),
        (&["x.rockspec"], Runtime::Lua, "nickblah/lua:5.4-luarocks-alpine"),
        (&["main.tfvars"], Runtime::Terraform, "hashicorp/terraform:1.10"),
        (&["x.js"], Runtime::Node, "node:22-alpine"),
        (&["x.ts"], Runtime::Deno, "denoland/deno:2"),
        (&["x.rb"], Runtime::Ruby, "ruby:3.3-alpine"),
        (&["x.go"], Runtime::Go, "golang:1.23-alpine"),
        (&["x.rs"], Runtime::Rust, "rust:1.85-alpine"),
        (&["run.sh"], Runtime::Shell, "bash:5"),
    ];
    for (names, runtime, image) in table {
        let found = of_project(&Fake::of_names(names));
        assert_eq!(
            (found.runtime, found.image.as_str()),
            (Some(*runtime), *image),
            "{names:?}"
        );
        assert_eq!(found.source, Source::ProjectFiles, "{names:?}");
    }
}

#[test]
fn names_that_only_look_alike_say_nothing() {
    for names in [
        &["README.md"][..],
        &[],
        &[".py"],
        &["xpackage.json"],
        &["Package.json"],
        &["x.python"],
        &["go.mod.bak"],
    ] {
        assert_eq!(
            of_project(&Fake::of_names(names)).source,
            Source::Default,
            "{names:?}"
        );
    }
}

/// The project's files with their texts, the command and the image.
type PinCase = (
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static str,
);

#[test]
fn a_pin_chooses_the_tag() {
    let table: &[PinCase] = &[
        (&[(".nvmrc", "20\n")], "npm test", "node:20-alpine"),
        (&[(".nvmrc", "v20.11.1")], "npm test", "node:20.11.1-alpine"),
        (&[(".nvmrc", "lts/iron")], "npm test", "node:20-alpine"),
        (&[(".nvmrc", "lts/*")], "npm test", "node:22-alpine"),
        (&[(".node-version", "18.20.0")], "npm test", "node:18.20.0-alpine"),
        (
            &[(".tool-versions", "python 3.11.4\nnodejs 18.1.0 # old\n")],
            "npm test",
            "node:18.1.0-alpine",
        ),
        (
            &[("package.json", r#"{"engines":{"node":"20"}}"#)],
            "npm test",
            "node:20-alpine",
        ),
        (
            &[("package.json", r#"{"engines":{"node":"18.x"}}"#)],
            "npm test",
            "node:18-alpine",
        ),
        (
            &[("package.json", r#"{"engines":{"node":">=18"}}"#)],
            "npm test",
            "node:22-alpine",
        ),
        (
            &[(".nvmrc", "20"), (".node-version", "18")],
            "npm test",
            "node:20-alpine",
        ),
        (
            &[(".nvmrc", "garbage!"), (".node-version", "18")],
            "npm test",
            "node:18-alpine",
        ),
        (&[(".bun-version", "1.1.30")], "bun test", "oven/bun:1.1.30"),
        (
            &[(".tool-versions", "deno 2.1.4")],
            "deno test",
            "denoland/deno:2.1.4",
        ),
        (&[(".tool-versions", "deno 2.1")], "deno test", "denoland/deno:2"),
        (&[(".python-version", "3.11\n")], "python x", "python:3.11-alpine"),
        (
            &[(".python-version", "# mine\n3.10.9\n3.9\n")],
            "python x",
            "python:3.10.9-alpine",
        ),
        (
            &[(".python-version", "3.11.4")],
            "uv sync",
            "ghcr.io/astral-sh/uv:python3.11-bookworm-slim",
        ),
        (
            &[(".tool-versions", "python 3.9.1")],
            "pip list",
            "python:3.9.1-alpine",
        ),
        (
            &[("pyproject.toml", "[project]\nrequires-python = \">=3.9\"")],
            "python x",
            "python:3.12-alpine",
        ),
        (
            &[("pyproject.toml", "[project]\nrequires-python = \">=3.13\"")],
            "python x",
            "python:3.13-alpine",
        ),
        (
            &[("pyproject.toml", "[project]\nrequires-python = \">=3.9,<3.12\"")],
            "python x",
            "python:3.9-alpine",
        ),
        (
            &[("pyproject.toml", "[project]\nrequires-python = \"==3.11.*\"")],
            "python x",
            "python:3.11-alpine",
        ),
        (
            &[("pyproject.toml", "[tool.poetry.dependencies]\npython = \"^3.13\"")],
            "python x",
            "python:3.13-alpine",
        ),
        (
            &[("rust-toolchain.toml", "[toolchain]\nchannel = \"1.80.1\"")],
            "cargo test",
            "rust:1.80.1-alpine",
        ),
        (&[("rust-toolchain", "1.79\n")], "cargo test", "rust:1.79-alpine"),
        (
            &[("rust-toolchain.toml", "[toolchain]\nchannel = \"stable\"")],
            "cargo test",
            "rust:1.85-alpine",
        ),
        (
            &[("rust-toolchain.toml", "[toolchain]\nchannel = \"nightly\"")],
            "cargo test",
            "rust:1.85-alpine",
        ),
        (
            &[("go.mod", "module x\n\ngo 1.22\n")],
            "go test",
            "golang:1.22-alpine",
        ),
        (
            &[("go.mod", "module x\n\ngo 1.22.3 // why\n")],
            "go test",
            "golang:1.22.3-alpine",
        ),
        (
            &[("go.mod", "module x\n\ngo 1.22rc1\n")],
            "go test",
            "golang:1.23-alpine",
        ),
        (
            &[(".tool-versions", "golang 1.21.1")],
            "go test",
            "golang:1.21.1-alpine",
        ),
        (&[(".ruby-version", "ruby-3.2.2")], "rake", "ruby:3.2.2-alpine"),
        (
            &[("Gemfile", "source 'x'\nruby '3.1.4'\n")],
            "rake",
            "ruby:3.1.4-alpine",
        ),
        (&[("Gemfile", "ruby \"~> 3.1\"\n")], "rake", "ruby:3.3-alpine"),
        (
            &[("Gemfile", "ruby file: '.ruby-version'\n")],
            "rake",
            "ruby:3.3-alpine",
        ),
        (
            &[(".java-version", "17.0.2")],
            "mvn test",
            "maven:3-eclipse-temurin-17",
        ),
        (&[(".java-version", "1.8")], "java X", "eclipse-temurin:8-alpine"),
        (
            &[(".tool-versions", "java temurin-11.0.2+9")],
            "gradle build",
            "gradle:8-jdk11",
        ),
        (&[(".java-version", "25")], "gradle build", "gradle:8-jdk21"),
        (
            &[(".java-version", "25")],
            "./gradlew build",
            "eclipse-temurin:25",
        ),
        (&[(".java-version", "19")], "java X", "eclipse-temurin:21-alpine"),
        (
            &[("global.json", r#"{"sdk":{"version":"9.0.100"}}"#)],
            "dotnet test",
            "mcr.microsoft.com/dotnet/sdk:9.0",
        ),
        (&[(".tool-versions", "php 8.2.1")], "php x", "php:8.2.1-alpine"),
        (
            &[(".tool-versions", "php 8.2.1")],
            "composer install",
            "composer:2",
        ),
        (
            &[(".tool-versions", "elixir 1.15.7-otp-26")],
            "mix test",
            "elixir:1.15.7-alpine",
        ),
        (
            &[(".terraform-version", "1.9.8")],
            "terraform plan",
            "hashicorp/terraform:1.9.8",
        ),
        (
            &[(".tool-versions", "lua 5.3.6")],
            "lua x",
            "nickblah/lua:5.3-alpine",
        ),
        (
            &[(".tool-versions", "nodejs system")],
            "npm test",
            "node:22-alpine",
        ),
        (&[(".nvmrc", "4")], "npm test", "node:22-alpine"),
        (&[(".python-version", "2.7")], "python x", "python:3.12-alpine"),
        (
            &[(".python-version", "pypy3.9")],
            "python x",
            "python:3.12-alpine",
        ),
        (
            &[(".python-version", "3.12-alpine@sha256:0")],
            "python x",
            "python:3.12-alpine",
        ),
        (
            &[(".python-version", "../../evil")],
            "python x",
            "python:3.12-alpine",
        ),
    ];
    for (files, line, image) in table {
        let found = of_both(line, &Fake::new(files));
        assert_eq!(found.image, *image, "{files:?}: {}", found.reason);
        assert_eq!(found.source, Source::Command);
    }
}

#[test]
fn the_reason_names_the_pin_and_what_was_not_used() {
    let reason = |files: &[(&str, &str)], line: &str| of_both(line, &Fake::new(files)).reason;
    assert_eq!(
        reason(&[(".nvmrc", "20")], "npm test"),
        "the command runs npm; version 20 from .nvmrc"
    );
    assert_eq!(
        reason(&[(".nvmrc", "4")], "npm test"),
        "the command runs npm; .nvmrc asks for 4, which has no image known here, so it is not used"
    );
    assert_eq!(
        reason(&[(".python-version", "\u{1b}[31m\u{202e}")], "python x"),
        "the command runs python; .python-version has \"\\u{1b}[31m\\u{202e}\", which is no version, so it is not used"
    );
    assert_eq!(
        reason(
            &[("pyproject.toml", "[project]\nrequires-python = \">=3.9\"")],
            "python x"
        ),
        "the command runs python; pyproject.toml allows the default 3.12"
    );
    assert_eq!(
        reason(
            &[("package.json", r#"{"engines":{"node":"^18 || ^20"}}"#)],
            "node x"
        ),
        "the command runs node; package.json names no single version (\"^18 || ^20\"), so it is not used"
    );
    let version = of_both("npm test", &Fake::new(&[(".nvmrc", "20")])).version;
    assert_eq!(version.as_deref(), Some("20"));
}

#[test]
fn a_procfile_speaks_last() {
    let table = [
        ("web: bundle exec puma\n", "ruby:3.3-alpine"),
        ("worker: node x.js\nweb: python app.py\n", "python:3.12-alpine"),
        ("worker: PORT=1 node x.js\n", "node:22-alpine"),
        ("# a comment: no\nweb: env A=1 php -S x\n", "php:8.3-alpine"),
    ];
    for (text, image) in table {
        let found = of_project(&Fake::new(&[("Procfile", text)]));
        assert_eq!(
            (found.image.as_str(), found.source),
            (image, Source::Procfile),
            "{text:?}"
        );
    }
    for text in ["", "web:", "web", ": node", "web: ./start", "a b: node x"] {
        assert_eq!(
            of_project(&Fake::new(&[("Procfile", text)])).source,
            Source::Default,
            "{text:?}"
        );
    }
    let both = Fake::new(&[("Procfile", "web: ruby x"), ("go.mod", "")]);
    assert_eq!(of_project(&both).source, Source::ProjectFiles);
}
