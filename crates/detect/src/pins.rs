//! Version pins: which files of a project name a version, and how each is read.
//!
//! Readers return text that is not checked yet; `Image::pinned` lets only known versions through.

use crate::{Project, Runtime, images::Image, version::Version};

mod read;

/// What a file says about the version of a runtime.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Pin {
    Exact(String),
    /// At least the first, and below the second if there is one.
    Range(String, Option<String>),
    /// It says something, but no single version.
    Vague(String),
}

#[derive(Debug)]
pub(crate) struct PinFile {
    pub runtime: Runtime,
    pub file: &'static str,
    /// What of it is read, for the page.
    pub part: &'static str,
    /// None: the file says nothing about this runtime, or leaves the choice to us.
    pub read: fn(&str) -> Option<Pin>,
}

const fn pin(
    runtime: Runtime,
    file: &'static str,
    part: &'static str,
    read: fn(&str) -> Option<Pin>,
) -> PinFile {
    PinFile {
        runtime,
        file,
        part,
        read,
    }
}

/// Of the files of one runtime the first that helps counts.
pub(crate) const PINS: &[PinFile] = &[
    pin(
        Runtime::Node,
        ".nvmrc",
        "a version or the name of an LTS line",
        read::node,
    ),
    pin(Runtime::Node, ".node-version", "a version", read::node),
    pin(Runtime::Node, ".tool-versions", "`nodejs` or `node`", |text| {
        read::tool_versions(text, &["nodejs", "node"])
    }),
    pin(
        Runtime::Node,
        "package.json",
        "`engines.node`, if it is one version or one major",
        read::package_json,
    ),
    pin(Runtime::Bun, ".bun-version", "a version", read::line),
    pin(Runtime::Bun, ".tool-versions", "`bun`", |text| {
        read::tool_versions(text, &["bun"])
    }),
    pin(Runtime::Deno, ".tool-versions", "`deno`", |text| {
        read::tool_versions(text, &["deno"])
    }),
    pin(Runtime::Python, ".python-version", "a version", read::line),
    pin(Runtime::Python, ".tool-versions", "`python`", |text| {
        read::tool_versions(text, &["python"])
    }),
    pin(
        Runtime::Python,
        "pyproject.toml",
        "`requires-python`: its lower bound, if the default is not within it",
        read::pyproject,
    ),
    pin(
        Runtime::Rust,
        "rust-toolchain.toml",
        "`channel`",
        read::rust_toolchain,
    ),
    pin(
        Runtime::Rust,
        "rust-toolchain",
        "`channel`, or a version",
        read::rust_toolchain,
    ),
    pin(Runtime::Rust, ".tool-versions", "`rust`", |text| {
        read::tool_versions(text, &["rust"])
    }),
    pin(Runtime::Go, ".tool-versions", "`golang` or `go`", |text| {
        read::tool_versions(text, &["golang", "go"])
    }),
    pin(Runtime::Go, "go.mod", "the `go` line", read::go_mod),
    pin(Runtime::Ruby, ".ruby-version", "a version", read::ruby),
    pin(Runtime::Ruby, ".tool-versions", "`ruby`", |text| {
        read::tool_versions(text, &["ruby"])
    }),
    pin(
        Runtime::Ruby,
        "Gemfile",
        "the `ruby` line, if it is one version",
        read::gemfile,
    ),
    pin(Runtime::Java, ".java-version", "a version", read::java),
    pin(Runtime::Java, ".tool-versions", "`java`", |text| {
        read::java_of_tool_versions(text)
    }),
    pin(Runtime::Dotnet, "global.json", "`sdk.version`", read::global_json),
    pin(
        Runtime::Dotnet,
        ".tool-versions",
        "`dotnet` or `dotnet-core`",
        |text| read::tool_versions(text, &["dotnet", "dotnet-core"]),
    ),
    pin(Runtime::Php, ".tool-versions", "`php`", |text| {
        read::tool_versions(text, &["php"])
    }),
    pin(
        Runtime::Elixir,
        ".tool-versions",
        "`elixir`",
        read::elixir_of_tool_versions,
    ),
    pin(Runtime::Terraform, ".terraform-version", "a version", read::line),
    pin(Runtime::Terraform, ".tool-versions", "`terraform`", |text| {
        read::tool_versions(text, &["terraform"])
    }),
    pin(Runtime::Lua, ".tool-versions", "`lua`", |text| {
        read::tool_versions(text, &["lua"])
    }),
];

/// An image with the version that the project asks for, and what is to be said about it.
#[derive(Debug)]
pub(crate) struct Pinned {
    pub reference: String,
    pub version: Option<String>,
    pub remarks: Vec<String>,
}

pub(crate) fn apply(runtime: Runtime, image: &Image, project: Option<&dyn Project>) -> Pinned {
    let mut remarks = Vec::new();
    if let Some(project) = project.filter(|_| image.takes_version()) {
        for pin in PINS.iter().filter(|pin| pin.runtime == runtime) {
            let there = project.names().iter().any(|name| name == pin.file);
            let Some(found) = there
                .then(|| project.read(pin.file))
                .flatten()
                .and_then(|text| (pin.read)(&text))
            else {
                continue;
            };
            match judge(image, &found) {
                Ok((reference, version)) => {
                    remarks.push(format!("version {version} from {}", pin.file));
                    return Pinned {
                        reference,
                        version: Some(version.to_string()),
                        remarks,
                    };
                }
                Err(remark) => remarks.push(format!("{} {remark}", pin.file)),
            }
        }
    }
    Pinned {
        reference: image.reference(),
        version: None,
        remarks,
    }
}

fn judge(image: &Image, pin: &Pin) -> Result<(String, Version), String> {
    match pin {
        Pin::Exact(text) => exact(image, text),
        Pin::Range(low, below) => {
            let series = |text: &str| Version::parse(text).map(Version::series);
            let default = series(image.default);
            let above = below
                .as_deref()
                .and_then(series)
                .is_some_and(|below| default >= Some(below));
            if !above && series(low).is_some_and(|low| default >= Some(low)) {
                return Err(format!("allows the default {}", image.default));
            }
            exact(image, low)
        }
        Pin::Vague(text) => Err(format!(
            "names no single version ({}), so it is not used",
            quoted(text)
        )),
    }
}

fn exact(image: &Image, text: &str) -> Result<(String, Version), String> {
    let version = Version::parse(text)
        .ok_or_else(|| format!("has {}, which is no version, so it is not used", quoted(text)))?;
    image
        .pinned(version)
        .ok_or_else(|| format!("asks for {version}, which has no image known here, so it is not used"))
}

/// Text of a project for people: short, and harmless on a terminal.
pub(crate) fn quoted(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    let dots = if short.len() < text.len() { "..." } else { "" };
    format!("{short:?}{dots}")
}
