//! The images, and where it is written what each one holds.
//!
//! A default is a series that is maintained, not the newest one. A pin chooses another tag only within
//! the range that is known to exist.

use crate::version::Version;

#[derive(Debug)]
pub(crate) struct Image {
    /// The reference; `{}` stands for the version.
    pub template: &'static str,
    /// Empty if the template takes none.
    pub default: &'static str,
    /// How many numbers a tag has: 1 for `21`, 2 for `3.12`, 3 for `3.12.4`. Ascending.
    pub parts: &'static [usize],
    /// Major and minor, both inclusive.
    pub range: ((u32, u32), (u32, u32)),
    /// If not empty: the only majors there are.
    pub majors: &'static [u32],
    /// What it holds, and who says so.
    pub fact: &'static str,
}

const ANY: u32 = u32::MAX;

impl Image {
    const fn fixed(template: &'static str, fact: &'static str) -> Self {
        Self {
            template,
            default: "",
            parts: &[],
            range: ((0, 0), (0, 0)),
            majors: &[],
            fact,
        }
    }

    pub fn takes_version(&self) -> bool {
        !self.default.is_empty()
    }

    /// The reference with the default version.
    pub fn reference(&self) -> String {
        self.template.replace("{}", self.default)
    }

    /// The reference for a pinned version, with the version as far as the tag has it. None if there is
    /// no such tag that we know of.
    pub fn pinned(&self, version: Version) -> Option<(String, Version)> {
        let (low, high) = self.range;
        let known = self.majors.is_empty() || self.majors.contains(&version.major());
        // `3` alone means any minor, so only the major is compared.
        let within = match version.parts() {
            1 => (low.0..=high.0).contains(&version.major()),
            _ => low <= version.series() && version.series() <= high,
        };
        let parts = self.parts.iter().rev().find(|parts| **parts <= version.parts())?;
        if !known || !within {
            return None;
        }
        let version = version.cut(*parts);
        Some((self.template.replace("{}", &version.to_string()), version))
    }
}

pub(crate) const ALPINE: Image = Image::fixed(
    "alpine:3.24",
    "busybox with `sh` and `ash`; no bash (Docker official image)",
);

pub(crate) const NODE: Image = Image {
    template: "node:{}-alpine",
    default: "22",
    parts: &[1, 2, 3],
    range: ((16, 0), (24, ANY)),
    majors: &[],
    // The Dockerfiles of nodejs/docker-node install Node's own archive (node, npm, npx, corepack up to 24) and Yarn 1.
    fact: "node, npm, npx, corepack and Yarn 1 (Docker official image, nodejs/docker-node)",
};

// README of oven-sh/bun, section Docker; its Dockerfile links bunx.
pub(crate) const BUN: Image = Image {
    template: "oven/bun:{}",
    default: "1",
    parts: &[1, 2, 3],
    range: ((1, 0), (1, ANY)),
    majors: &[],
    fact: "bun and bunx (published by Bun)",
};

// README of denoland/deno_docker. Tags are a major or a full version.
pub(crate) const DENO: Image = Image {
    template: "denoland/deno:{}",
    default: "2",
    parts: &[1, 3],
    range: ((2, 0), (2, ANY)),
    majors: &[],
    fact: "deno (published by Deno)",
};

// docker-library/python builds CPython with pip and links python, pip and idle.
pub(crate) const PYTHON: Image = Image {
    template: "python:{}-alpine",
    default: "3.12",
    parts: &[1, 2, 3],
    range: ((3, 8), (3, 14)),
    majors: &[],
    fact: "python, python3 and pip (Docker official image)",
};

// uv's documentation, guide on Docker, lists pythonX.Y-bookworm-slim among the images with an interpreter.
pub(crate) const UV: Image = Image {
    template: "ghcr.io/astral-sh/uv:python{}-bookworm-slim",
    default: "3.12",
    parts: &[2],
    range: ((3, 8), (3, 14)),
    majors: &[],
    fact: "uv, uvx and python (published by Astral)",
};

// ruff's documentation, chapter on integrations: the plain tag has no shell, the alpine one has.
pub(crate) const RUFF: Image = Image::fixed("ghcr.io/astral-sh/ruff:alpine", "ruff (published by Astral)");

// docker-library/rust installs rustup's minimal profile: cargo and rustc, but neither rustfmt nor clippy. The
// alpine variant adds gcc and musl-dev, so that linking works.
pub(crate) const RUST: Image = Image {
    template: "rust:{}-alpine",
    default: "1.85",
    parts: &[2, 3],
    range: ((1, 56), (1, 95)),
    majors: &[],
    fact: "cargo, rustc, rustup and a linker; neither rustfmt nor clippy (Docker official image)",
};

pub(crate) const GO: Image = Image {
    template: "golang:{}-alpine",
    default: "1.23",
    parts: &[2, 3],
    range: ((1, 13), (1, 26)),
    majors: &[],
    fact: "go and gofmt (Docker official image)",
};

// docker-library/ruby builds Ruby with its default and bundled gems: gem, bundle, irb, rake.
pub(crate) const RUBY: Image = Image {
    template: "ruby:{}-alpine",
    default: "3.3",
    parts: &[2, 3],
    range: ((2, 5), (3, 4)),
    majors: &[],
    fact: "ruby, gem, bundle, irb and rake (Docker official image)",
};

// adoptium/containers: a whole JDK. Alpine on aarch64 begins with 21.
pub(crate) const JAVA: Image = Image {
    template: "eclipse-temurin:{}-alpine",
    default: "21",
    parts: &[1],
    range: ((8, 0), (25, ANY)),
    majors: &[8, 11, 17, 21, 25],
    fact: "java, javac, jar and jshell (Docker official image)",
};

// The Ubuntu variant: wrapper scripts fetch their tool, which may be linked against glibc.
pub(crate) const JAVA_WRAPPER: Image = Image {
    template: "eclipse-temurin:{}",
    default: "21",
    parts: &[1],
    range: ((8, 0), (25, ANY)),
    majors: &[8, 11, 17, 21, 25],
    fact: "java and what the wrapper scripts of Gradle and Maven need (Docker official image)",
};

pub(crate) const MAVEN: Image = Image {
    template: "maven:3-eclipse-temurin-{}",
    default: "21",
    parts: &[1],
    range: ((8, 0), (25, ANY)),
    majors: &[8, 11, 17, 21, 25],
    fact: "mvn and a JDK (Docker official image)",
};

// Gradle 8 runs on at most Java 24, so 25 is not among its tags.
pub(crate) const GRADLE: Image = Image {
    template: "gradle:8-jdk{}",
    default: "21",
    parts: &[1],
    range: ((8, 0), (21, ANY)),
    majors: &[8, 11, 17, 21],
    fact: "gradle and a JDK (Docker official image)",
};

// There is no image by JetBrains. Zenika's is the one in use; its plain tag is the newest compiler.
pub(crate) const KOTLIN: Image = Image::fixed(
    "zenika/kotlin:latest",
    "kotlin, kotlinc and a JDK (published by Zenika)",
);

pub(crate) const DOTNET: Image = Image {
    template: "mcr.microsoft.com/dotnet/sdk:{}",
    default: "8.0",
    parts: &[2],
    range: ((6, 0), (10, 0)),
    majors: &[],
    fact: "dotnet with the SDK (published by Microsoft)",
};

// docker-library/gcc is built on buildpack-deps, which has make, autoconf and bash. No cmake, no clang.
pub(crate) const GCC: Image = Image::fixed(
    "gcc:14-bookworm",
    "gcc, g++, cc, c++, cpp, make and autoconf; neither cmake nor clang (Docker official image)",
);

// devcontainers/images, src/cpp: build-essential cmake cppcheck valgrind clang lldb llvm gdb.
pub(crate) const CPP: Image = Image::fixed(
    "mcr.microsoft.com/devcontainers/cpp:1-debian-12",
    "cmake, clang, gcc, make, gdb, lldb and valgrind (published by Microsoft)",
);

pub(crate) const PHP: Image = Image {
    template: "php:{}-alpine",
    default: "8.3",
    parts: &[2, 3],
    range: ((7, 4), (8, 4)),
    majors: &[],
    fact: "php, phpize and pecl (Docker official image)",
};

pub(crate) const COMPOSER: Image = Image::fixed("composer:2", "composer and php (Docker official image)");

pub(crate) const ELIXIR: Image = Image {
    template: "elixir:{}-alpine",
    default: "1.16",
    parts: &[2, 3],
    range: ((1, 10), (1, 18)),
    majors: &[],
    fact: "elixir, mix, iex and erl (Docker official image)",
};

pub(crate) const TERRAFORM: Image = Image {
    template: "hashicorp/terraform:{}",
    default: "1.10",
    parts: &[2, 3],
    range: ((0, 12), (1, 13)),
    majors: &[],
    fact: "terraform, git and sh (published by HashiCorp)",
};

// Tags as the author publishes them: every series with and without luarocks.
pub(crate) const LUA: Image = Image {
    template: "nickblah/lua:{}-alpine",
    default: "5.4",
    parts: &[2],
    range: ((5, 1), (5, 4)),
    majors: &[],
    fact: "lua (published by Nick Blah)",
};

pub(crate) const LUAROCKS: Image = Image {
    template: "nickblah/lua:{}-luarocks-alpine",
    default: "5.4",
    parts: &[2],
    range: ((5, 1), (5, 4)),
    majors: &[],
    fact: "lua and luarocks (published by Nick Blah)",
};

pub(crate) const LUAJIT: Image = Image::fixed(
    "nickblah/luajit:2.1-luarocks-alpine",
    "luajit and luarocks (published by Nick Blah)",
);

pub(crate) const BASH: Image = Image::fixed(
    "bash:5",
    "bash, and busybox with `sh` and `ash` (Docker official image)",
);

pub(crate) const ZSH: Image = Image::fixed("zshusers/zsh:5.9", "zsh, bash and sh (published by zsh-users)");
