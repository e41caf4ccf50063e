//! Which file of a project speaks for which image, the strongest first.
//!
//! Manifests come before sources, and a Makefile comes after all manifests: every language has one.

use crate::{
    Runtime,
    images::{self, Image},
};

#[derive(Debug)]
pub(crate) struct Evidence {
    pub runtime: Runtime,
    pub image: &'static Image,
    /// File names; `*.x` stands for any name with that ending.
    pub names: &'static [&'static str],
}

pub(crate) const EVIDENCE: &[Evidence] = &[
    Evidence {
        runtime: Runtime::Deno,
        image: &images::DENO,
        names: &["deno.json", "deno.jsonc", "deno.lock"],
    },
    Evidence {
        runtime: Runtime::Bun,
        image: &images::BUN,
        names: &["bun.lock", "bun.lockb", "bunfig.toml"],
    },
    Evidence {
        runtime: Runtime::Node,
        image: &images::NODE,
        names: &[
            "package.json",
            "package-lock.json",
            "yarn.lock",
            "pnpm-lock.yaml",
            "tsconfig.json",
        ],
    },
    Evidence {
        runtime: Runtime::Rust,
        image: &images::RUST,
        names: &["Cargo.toml", "Cargo.lock"],
    },
    Evidence {
        runtime: Runtime::Go,
        image: &images::GO,
        names: &["go.mod", "go.sum", "go.work"],
    },
    Evidence {
        runtime: Runtime::Python,
        image: &images::UV,
        names: &["uv.lock"],
    },
    Evidence {
        runtime: Runtime::Python,
        image: &images::PYTHON,
        names: &[
            "pyproject.toml",
            "requirements.txt",
            "setup.py",
            "setup.cfg",
            "Pipfile",
            "poetry.lock",
        ],
    },
    Evidence {
        runtime: Runtime::Ruby,
        image: &images::RUBY,
        names: &["Gemfile", "Gemfile.lock", "*.gemspec"],
    },
    Evidence {
        runtime: Runtime::Elixir,
        image: &images::ELIXIR,
        names: &["mix.exs", "mix.lock"],
    },
    // composer's image has php too, and with these files somebody will want both.
    Evidence {
        runtime: Runtime::Php,
        image: &images::COMPOSER,
        names: &["composer.json", "composer.lock"],
    },
    Evidence {
        runtime: Runtime::Java,
        image: &images::MAVEN,
        names: &["pom.xml"],
    },
    Evidence {
        runtime: Runtime::Java,
        image: &images::GRADLE,
        names: &[
            "build.gradle",
            "build.gradle.kts",
            "settings.gradle",
            "settings.gradle.kts",
        ],
    },
    Evidence {
        runtime: Runtime::Dotnet,
        image: &images::DOTNET,
        names: &[
            "*.sln",
            "*.slnx",
            "*.csproj",
            "*.fsproj",
            "*.vbproj",
            "global.json",
        ],
    },
    Evidence {
        runtime: Runtime::Terraform,
        image: &images::TERRAFORM,
        names: &["*.tf", "*.tfvars", "terraform.tfstate", ".terraform.lock.hcl"],
    },
    Evidence {
        runtime: Runtime::Lua,
        image: &images::LUAROCKS,
        names: &["*.rockspec"],
    },
    Evidence {
        runtime: Runtime::C,
        image: &images::CPP,
        names: &["CMakeLists.txt", "CMakePresets.json"],
    },
    Evidence {
        runtime: Runtime::Python,
        image: &images::PYTHON,
        names: &["*.py"],
    },
    Evidence {
        runtime: Runtime::Node,
        image: &images::NODE,
        names: &["*.js", "*.mjs", "*.cjs"],
    },
    // Deno runs every TypeScript file as it is; Node.js 22 only those whose types can be cut out.
    Evidence {
        runtime: Runtime::Deno,
        image: &images::DENO,
        names: &["*.ts", "*.mts"],
    },
    Evidence {
        runtime: Runtime::Go,
        image: &images::GO,
        names: &["*.go"],
    },
    Evidence {
        runtime: Runtime::Rust,
        image: &images::RUST,
        names: &["*.rs"],
    },
    Evidence {
        runtime: Runtime::Ruby,
        image: &images::RUBY,
        names: &["*.rb", "Rakefile"],
    },
    Evidence {
        runtime: Runtime::Php,
        image: &images::PHP,
        names: &["*.php"],
    },
    Evidence {
        runtime: Runtime::Elixir,
        image: &images::ELIXIR,
        names: &["*.ex", "*.exs"],
    },
    Evidence {
        runtime: Runtime::Kotlin,
        image: &images::KOTLIN,
        names: &["*.kt", "*.kts"],
    },
    Evidence {
        runtime: Runtime::Java,
        image: &images::JAVA,
        names: &["*.java"],
    },
    Evidence {
        runtime: Runtime::Dotnet,
        image: &images::DOTNET,
        names: &["*.cs", "*.fs"],
    },
    Evidence {
        runtime: Runtime::Lua,
        image: &images::LUA,
        names: &["*.lua", ".luacheckrc"],
    },
    Evidence {
        runtime: Runtime::C,
        image: &images::GCC,
        names: &[
            "*.c",
            "*.cc",
            "*.cpp",
            "*.cxx",
            "*.h",
            "*.hpp",
            "configure",
            "Makefile",
            "makefile",
            "GNUmakefile",
        ],
    },
    Evidence {
        runtime: Runtime::Shell,
        image: &images::BASH,
        names: &["*.sh", "*.bash"],
    },
];

/// The strongest evidence among the names, and the name that gives it.
pub(crate) fn find(names: &[String]) -> Option<(&'static Evidence, &str)> {
    EVIDENCE.iter().find_map(|evidence| {
        let name = evidence
            .names
            .iter()
            .find_map(|pattern| first_match(pattern, names))?;
        Some((evidence, name))
    })
}

/// The smallest matching name, so that the answer does not hang on the order of a folder.
fn first_match<'a>(pattern: &str, names: &'a [String]) -> Option<&'a str> {
    let matches = |name: &str| match pattern.strip_prefix('*') {
        Some(ending) => name.len() > ending.len() && name.ends_with(ending),
        None => name == pattern,
    };
    names
        .iter()
        .map(String::as_str)
        .filter(|name| matches(name))
        .min()
}
