//! The keys of images, registries and builds: a part of the table in `keys`.

use std::path::PathBuf;

use agentkernel_types::ParseError;
use toml::de::DeValue;

use crate::{
    keys::{Key, Scope},
    layer::{At, BuildDraft, RegistryDraft, Values},
    shape::{self, Shape},
};

const POLICIES: &[&str] = &["always", "missing", "never"];
const SIZE: Shape = Shape::Text(
    "^[0-9]+([.][0-9]+)?[kKmMgGtT]?[iI]?[bB]?$",
    "string: a size such as `\"20g\"`",
);
const RELATIVE: Shape = Shape::Text("^[^/]", "path, relative to the file's folder and beneath it");
const ABSOLUTE: Shape = Shape::Text("^/", "absolute path");
const HOST: &str =
    "^(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9][A-Za-z0-9._-]*)(:[0-9]{1,5})?(/[A-Za-z0-9][A-Za-z0-9._-]*)*$";
/// Layers that are downloaded at once.
const MAX_PARALLEL: u64 = 16;
/// More mirrors than this are not tried one after the other.
const MAX_MIRRORS: usize = 16;

const fn key(
    table: &'static str,
    name: &'static str,
    scope: Scope,
    shape: Shape,
    texts: [&'static str; 3],
    read: crate::keys::Read,
) -> Key {
    let [default, summary, example] = texts;
    Key {
        table,
        name,
        alias: None,
        scope,
        shape,
        default,
        summary,
        example,
        read,
    }
}

pub(crate) const KEYS: &[Key] = &[
    key(
        "build",
        "dockerfile",
        Scope::Project,
        RELATIVE,
        [
            "`Dockerfile`, or `Containerfile`",
            "The Dockerfile, in the context.",
            "\"build/Dockerfile\"",
        ],
        |values, value, span| {
            build(values).dockerfile = Some(At {
                value: beneath(value)?,
                span,
            });
            Ok(())
        },
    ),
    key(
        "build",
        "context",
        Scope::Project,
        RELATIVE,
        [
            "the file's folder",
            "The folder that the build sees.",
            "\"build\"",
        ],
        |values, value, span| {
            build(values).context = Some(At {
                value: beneath(value)?,
                span,
            });
            Ok(())
        },
    ),
    key(
        "build",
        "target",
        Scope::Project,
        Shape::Text(
            "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
            "string: the name of a stage",
        ),
        ["the last stage", "The stage that is built.", "\"dev\""],
        |values, value, span| {
            let target = shape::text(value)?;
            if target.is_empty() || target.starts_with('-') || target.len() > 128 {
                return Err(ParseError::new(format!("invalid stage {target:?}")).into());
            }
            build(values).target = Some(At {
                value: target.to_owned(),
                span,
            });
            Ok(())
        },
    ),
    key(
        "build",
        "args",
        Scope::Project,
        Shape::Map,
        ["none", "Build arguments.", "{ VERSION = \"1\" }"],
        |values, value, _| {
            build(values).args = shape::map(value)?;
            Ok(())
        },
    ),
    key(
        "build",
        "no_cache",
        Scope::Project,
        Shape::Boolean,
        [
            "`false`",
            "Builds each time it is asked to, also when nothing has changed.",
            "true",
        ],
        |values, value, _| {
            build(values).no_cache = shape::boolean(value)?;
            Ok(())
        },
    ),
    key(
        "images",
        "pull",
        Scope::User,
        Shape::Choice(POLICIES),
        [
            "`missing`",
            "When registries are asked: each time, if an image is not here, or never.",
            "\"never\"",
        ],
        |values, value, span| {
            let value = shape::choice(value, POLICIES)?.parse()?;
            values.pull = Some(At { value, span });
            Ok(())
        },
    ),
    key(
        "images",
        "max_size",
        Scope::User,
        SIZE,
        [
            "no limit",
            "The most that unpacked images may take. After a pull the least recently used ones go; images of sandboxes stay.",
            "\"20g\"",
        ],
        |values, value, span| {
            let value = shape::text(value)?.parse()?;
            values.max_image_bytes = Some(At { value, span });
            Ok(())
        },
    ),
    key(
        "images",
        "parallel_layers",
        Scope::User,
        Shape::Integer {
            min: 1,
            max: MAX_PARALLEL,
        },
        ["`3`", "Layers that are downloaded at once.", "6"],
        |values, value, span| {
            let value = shape::integer(value, 1, MAX_PARALLEL)? as u32;
            values.parallel_layers = Some(At { value, span });
            Ok(())
        },
    ),
    key(
        "registries",
        "insecure",
        Scope::User,
        Shape::Boolean,
        [
            "`false`",
            "Plain HTTP: nothing is encrypted, and nobody's identity is checked.",
            "true",
        ],
        |values, value, _| {
            registry(values).insecure = shape::boolean(value)?;
            Ok(())
        },
    ),
    key(
        "registries",
        "ca",
        Scope::User,
        ABSOLUTE,
        [
            "the system's",
            "A PEM file with authorities that are trusted as well.",
            "\"/etc/ssl/our-ca.pem\"",
        ],
        |values, value, _| {
            let path = PathBuf::from(shape::text(value)?);
            if !path.is_absolute() {
                return Err(ParseError::new(format!("{} is no absolute path", path.display())).into());
            }
            registry(values).ca = Some(path);
            Ok(())
        },
    ),
    key(
        "registries",
        "mirrors",
        Scope::User,
        Shape::List(HOST, "list of `HOST[:PORT][/PREFIX]`"),
        ["none", "Asked first, in this order.", "[\"mirror.example.com\"]"],
        |values, value, _| {
            let mirrors = shape::list(value)?;
            if mirrors.len() > MAX_MIRRORS {
                return Err(ParseError::new(format!("more than {MAX_MIRRORS} mirrors")).into());
            }
            if let Some(wrong) = mirrors.iter().find(|mirror| !is_host(mirror)) {
                return Err(
                    ParseError::new(format!("invalid mirror {wrong:?}: write HOST[:PORT][/PREFIX]")).into(),
                );
            }
            registry(values).mirrors = mirrors;
            Ok(())
        },
    ),
];

/// The host of `[registries."HOST[:PORT]"]`.
pub(crate) fn is_registry(name: &str) -> bool {
    is_host(name) && !name.contains('/')
}

/// `HOST[:PORT][/PREFIX]`; an address of version 6 is in brackets.
fn is_host(text: &str) -> bool {
    let word = |text: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(allowed)
    };
    let mut parts = text.split('/');
    let authority = parts.next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let host_is_one = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => word(host),
    };
    text.len() <= 255
        && host_is_one
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
        && parts.all(word)
}

/// A path that cannot lead out of the project.
fn beneath(value: &DeValue<'_>) -> Result<PathBuf, ParseError> {
    let path = PathBuf::from(shape::text(value)?);
    let plain = path.components().all(|part| {
        matches!(
            part,
            std::path::Component::Normal(_) | std::path::Component::CurDir
        )
    });
    if path.as_os_str().is_empty() || !plain {
        return Err(ParseError::new(format!(
            "{} must be relative and beneath the file's folder, without '..'",
            path.display()
        )));
    }
    Ok(path)
}

fn build(values: &mut Values) -> &mut BuildDraft {
    values.build.get_or_insert_default()
}

/// The `[registries."HOST"]` that is being read.
fn registry(values: &mut Values) -> &mut RegistryDraft {
    values
        .registries
        .last_mut()
        .expect("an entry is begun before its keys are read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_a_port_and_a_prefix() {
        for text in [
            "docker.io",
            "localhost:5000",
            "[::1]:5000",
            "[::1]",
            "10.0.0.1:443",
            "mirror.example/hub/x",
        ] {
            assert!(is_host(text), "{text}");
        }
        for text in [
            "",
            "http://mirror",
            "a:b",
            "a:0",
            "a:70000",
            "a//b",
            "a/",
            "/a",
            "-a",
            "a b",
            "[x]",
            "[::1",
            "::1",
            "user@host",
            "a/../b",
            "a\n",
        ] {
            assert!(!is_host(text), "{text}");
        }
        assert!(is_registry("docker.io") && !is_registry("docker.io/library"));
    }
}
