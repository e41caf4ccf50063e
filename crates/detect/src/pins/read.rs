//! One reader for each format that pins a version.

use super::Pin;

/// The first line that is no comment, as the many `.x-version` files have it.
pub(crate) fn line(text: &str) -> Option<Pin> {
    first_line(text).map(|line| Pin::Exact(line.to_owned()))
}

fn first_line(text: &str) -> Option<&str> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or("").trim())
        .find(|line| !line.is_empty())
}

pub(crate) fn node(text: &str) -> Option<Pin> {
    let word = first_line(text)?;
    // The LTS lines by name: nodejs/Release, schedule.json.
    let major = match word.strip_prefix("lts/").unwrap_or(word) {
        "gallium" => "16",
        "hydrogen" => "18",
        "iron" => "20",
        "jod" => "22",
        "krypton" => "24",
        "*" | "lts" | "node" | "stable" | "current" => return None,
        other => other,
    };
    Some(Pin::Exact(major.to_owned()))
}

/// asdf's and mise's file: a tool and its versions on each line, the first version preferred.
pub(crate) fn tool_versions(text: &str, tools: &[&str]) -> Option<Pin> {
    let version = tool_version(text, tools)?;
    match version {
        "system" | "latest" | "stable" | "lts" => None,
        version => Some(Pin::Exact(version.to_owned())),
    }
}

fn tool_version<'a>(text: &'a str, tools: &[&str]) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let mut words = line.split('#').next().unwrap_or("").split_whitespace();
        tools.contains(&words.next()?).then(|| words.next())?
    })
}

/// `1.16.2-otp-26`: the part for Erlang is not in the tags of our image.
pub(crate) fn elixir_of_tool_versions(text: &str) -> Option<Pin> {
    let version = tool_version(text, &["elixir"])?;
    let elixir = version.split_once("-otp-").map_or(version, |(elixir, _)| elixir);
    Some(Pin::Exact(elixir.to_owned()))
}

pub(crate) fn java(text: &str) -> Option<Pin> {
    first_line(text).map(java_major)
}

pub(crate) fn java_of_tool_versions(text: &str) -> Option<Pin> {
    tool_version(text, &["java"])
        .filter(|version| *version != "system")
        .map(java_major)
}

/// `17`, `17.0.2`, `1.8`, `temurin-21.0.2+13.0.LTS`: the major is all that a tag has.
fn java_major(text: &str) -> Pin {
    let numbers = match text.split_once('-') {
        Some((vendor, rest)) if vendor.chars().all(|c| c.is_ascii_alphabetic()) => rest,
        _ => text,
    };
    let numbers = numbers.strip_prefix("1.").unwrap_or(numbers);
    let major: String = numbers.chars().take_while(char::is_ascii_digit).collect();
    match numbers[major.len()..].chars().next() {
        None | Some('.' | '+' | '-') if !major.is_empty() => Pin::Exact(major),
        _ => Pin::Vague(text.to_owned()),
    }
}

pub(crate) fn package_json(text: &str) -> Option<Pin> {
    let package: serde_json::Value = serde_json::from_str(text).ok()?;
    let node = package.get("engines")?.get("node")?.as_str()?.trim();
    let exact = node
        .strip_suffix(".x.x")
        .or_else(|| node.strip_suffix(".x"))
        .unwrap_or(node);
    let plain = exact
        .strip_prefix('v')
        .unwrap_or(exact)
        .chars()
        .all(|c| c.is_ascii_digit() || c == '.');
    Some(if plain {
        Pin::Exact(exact.to_owned())
    } else {
        Pin::Vague(node.to_owned())
    })
}

pub(crate) fn pyproject(text: &str) -> Option<Pin> {
    let document: toml::Table = text.parse().ok()?;
    let project = document
        .get("project")
        .and_then(|project| project.get("requires-python"));
    let poetry = || {
        document
            .get("tool")?
            .get("poetry")?
            .get("dependencies")?
            .get("python")
    };
    let wanted = project.or_else(poetry)?.as_str()?;
    let parts: Vec<&str> = wanted.split(',').map(str::trim).collect();
    let after = |sign: &str| {
        parts
            .iter()
            .find_map(|part| part.strip_prefix(sign))
            .map(|rest| rest.trim().to_owned())
    };
    if let Some(exact) = after("==") {
        return Some(Pin::Exact(exact.trim_end_matches(".*").to_owned()));
    }
    let below = after("<=").is_none().then(|| after("<")).flatten();
    match after(">=").or_else(|| after("~=")).or_else(|| after("^")) {
        Some(low) => Some(Pin::Range(low, below)),
        None => Some(Pin::Vague(wanted.to_owned())),
    }
}

pub(crate) fn rust_toolchain(text: &str) -> Option<Pin> {
    let channel = match text.parse::<toml::Table>() {
        Ok(document) => document.get("toolchain")?.get("channel")?.as_str()?.to_owned(),
        Err(_) => first_line(text)?.to_owned(),
    };
    match channel.as_str() {
        "stable" => None,
        other if other.starts_with(|c: char| c.is_ascii_digit()) => Some(Pin::Exact(channel)),
        _ => Some(Pin::Vague(channel)),
    }
}

pub(crate) fn go_mod(text: &str) -> Option<Pin> {
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("go ").or_else(|| line.strip_prefix("go\t")))?;
    Some(Pin::Exact(
        version.split("//").next().unwrap_or("").trim().to_owned(),
    ))
}

pub(crate) fn ruby(text: &str) -> Option<Pin> {
    let line = first_line(text)?;
    Some(Pin::Exact(line.strip_prefix("ruby-").unwrap_or(line).to_owned()))
}

pub(crate) fn gemfile(text: &str) -> Option<Pin> {
    let rest = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("ruby "))?
        .trim();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (version, _) = rest[1..].split_once(quote)?;
    let plain = version.chars().all(|c| c.is_ascii_digit() || c == '.');
    Some(if plain {
        Pin::Exact(version.to_owned())
    } else {
        Pin::Vague(version.to_owned())
    })
}

pub(crate) fn global_json(text: &str) -> Option<Pin> {
    let global: serde_json::Value = serde_json::from_str(text).ok()?;
    let version = global.get("sdk")?.get("version")?.as_str()?;
    Some(Pin::Exact(version.to_owned()))
}
