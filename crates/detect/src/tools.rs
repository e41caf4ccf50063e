//! Which command needs which image, by the name of the program.

use crate::{
    Runtime,
    images::{self, Image},
};

/// Commands that one image holds.
#[derive(Debug)]
pub(crate) struct Tool {
    pub runtime: Runtime,
    pub image: &'static Image,
    pub commands: &'static [&'static str],
}

pub(crate) const TOOLS: &[Tool] = &[
    Tool {
        runtime: Runtime::Node,
        image: &images::NODE,
        commands: &["node", "nodejs", "npm", "npx", "yarn", "yarnpkg", "corepack"],
    },
    Tool {
        runtime: Runtime::Bun,
        image: &images::BUN,
        commands: &["bun", "bunx"],
    },
    Tool {
        runtime: Runtime::Deno,
        image: &images::DENO,
        commands: &["deno"],
    },
    Tool {
        runtime: Runtime::Rust,
        image: &images::RUST,
        commands: &["cargo", "rustc", "rustup", "rustdoc"],
    },
    Tool {
        runtime: Runtime::Go,
        image: &images::GO,
        commands: &["go", "gofmt"],
    },
    Tool {
        runtime: Runtime::Python,
        image: &images::PYTHON,
        commands: &["python", "python3", "pip", "pip3", "pydoc", "pydoc3"],
    },
    Tool {
        runtime: Runtime::Python,
        image: &images::UV,
        commands: &["uv", "uvx"],
    },
    Tool {
        runtime: Runtime::Python,
        image: &images::RUFF,
        commands: &["ruff"],
    },
    Tool {
        runtime: Runtime::Ruby,
        image: &images::RUBY,
        commands: &["ruby", "gem", "bundle", "bundler", "rake", "irb", "erb"],
    },
    Tool {
        runtime: Runtime::Java,
        image: &images::JAVA,
        commands: &["java", "javac", "jar", "jshell", "javadoc"],
    },
    Tool {
        runtime: Runtime::Java,
        image: &images::MAVEN,
        commands: &["mvn"],
    },
    Tool {
        runtime: Runtime::Java,
        image: &images::GRADLE,
        commands: &["gradle"],
    },
    Tool {
        runtime: Runtime::Kotlin,
        image: &images::KOTLIN,
        commands: &["kotlin", "kotlinc"],
    },
    Tool {
        runtime: Runtime::Dotnet,
        image: &images::DOTNET,
        commands: &["dotnet"],
    },
    Tool {
        runtime: Runtime::C,
        image: &images::GCC,
        commands: &[
            "gcc", "g++", "cc", "c++", "cpp", "gfortran", "make", "ld", "ar", "autoconf", "automake",
        ],
    },
    Tool {
        runtime: Runtime::C,
        image: &images::CPP,
        commands: &[
            "cmake", "ctest", "cpack", "clang", "clang++", "gdb", "lldb", "valgrind", "cppcheck",
        ],
    },
    Tool {
        runtime: Runtime::Php,
        image: &images::PHP,
        commands: &["php", "phpize", "pecl", "pear"],
    },
    Tool {
        runtime: Runtime::Php,
        image: &images::COMPOSER,
        commands: &["composer"],
    },
    Tool {
        runtime: Runtime::Elixir,
        image: &images::ELIXIR,
        commands: &["elixir", "elixirc", "mix", "iex", "erl", "erlc"],
    },
    Tool {
        runtime: Runtime::Shell,
        image: &images::ALPINE,
        commands: &["sh", "ash"],
    },
    Tool {
        runtime: Runtime::Shell,
        image: &images::BASH,
        commands: &["bash"],
    },
    Tool {
        runtime: Runtime::Shell,
        image: &images::ZSH,
        commands: &["zsh"],
    },
    Tool {
        runtime: Runtime::Lua,
        image: &images::LUA,
        commands: &["lua", "luac"],
    },
    Tool {
        runtime: Runtime::Lua,
        image: &images::LUAROCKS,
        commands: &["luarocks"],
    },
    Tool {
        runtime: Runtime::Lua,
        image: &images::LUAJIT,
        commands: &["luajit"],
    },
    Tool {
        runtime: Runtime::Terraform,
        image: &images::TERRAFORM,
        commands: &["terraform"],
    },
];

/// The scripts that a project carries along. They are programs of the project and not of the image,
/// so they are known by a relative path too.
pub(crate) const WRAPPERS: Tool = Tool {
    runtime: Runtime::Java,
    image: &images::JAVA_WRAPPER,
    commands: &["gradlew", "mvnw"],
};

/// Tools that no image known to us holds; what can be done instead. They choose nothing: the next
/// source is asked.
pub(crate) const WITHOUT_IMAGE: &[(&str, &str)] = &[
    ("pnpm", "run `corepack pnpm`, which the Node.js image has"),
    ("pnpx", "run `corepack pnpm dlx`, which the Node.js image has"),
    ("tsx", "run `npx tsx`, which fetches it"),
    ("ts-node", "run `npx ts-node`, which fetches it"),
    ("tsc", "run `npx -p typescript tsc`, which fetches it"),
    ("poetry", "run `uvx poetry`, which fetches it"),
    ("pipenv", "run `uvx pipenv`, which fetches it"),
    (
        "pytest",
        "run `uvx pytest`, which fetches it, or `python -m pytest` where the project installs it",
    ),
    ("mypy", "run `uvx mypy`, which fetches it"),
    ("black", "run `uvx black`, which fetches it"),
    ("python2", "name an image that holds it with `--image`"),
    (
        "rustfmt",
        "run `rustup component add rustfmt` first: the Rust image has only the minimal profile",
    ),
    (
        "clippy",
        "run `rustup component add clippy` first and then `cargo clippy`",
    ),
    (
        "clippy-driver",
        "run `rustup component add clippy` first and then `cargo clippy`",
    ),
    (
        "cargo-clippy",
        "run `rustup component add clippy` first and then `cargo clippy`",
    ),
    (
        "cargo-fmt",
        "run `rustup component add rustfmt` first and then `cargo fmt`",
    ),
    ("rails", "run `bundle exec rails`, where the project installs it"),
    ("csc", "run `dotnet build`"),
    ("fsc", "run `dotnet build`"),
    ("ninja", "name an image that holds it with `--image`"),
];

/// The tool whose image holds this program.
pub(crate) fn by_program(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.commands.contains(&name))
}

pub(crate) fn without_image(name: &str) -> Option<&'static str> {
    WITHOUT_IMAGE
        .iter()
        .find(|(program, _)| *program == name)
        .map(|(_, advice)| *advice)
}
