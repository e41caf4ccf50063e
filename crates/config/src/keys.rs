//! The table of all keys: what is read, what the schema has and what the reference says.

use agentkernel_types::{ByteSize, ParseError};
use toml::de::DeValue;

use crate::{
    image_keys,
    layer::{At, FileDraft, Values},
    network,
    shape::{self, AGENTS, GRADES, PROFILES, RUNTIMES, Shape},
    wrong::Wrong,
};

/// In whose file a key may stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scope {
    Both,
    Project,
    User,
}

#[derive(Debug)]
pub(crate) struct Key {
    pub table: &'static str,
    pub name: &'static str,
    pub alias: Option<&'static str>,
    pub scope: Scope,
    pub shape: Shape,
    pub default: &'static str,
    pub summary: &'static str,
    /// A valid value as TOML.
    pub example: &'static str,
    pub read: Read,
}

pub(crate) type Read = fn(&mut Values, &DeValue<'_>, std::ops::Range<usize>) -> Result<(), Wrong>;

#[derive(Debug)]
pub(crate) struct Table {
    pub name: &'static str,
    pub summary: &'static str,
    pub form: Form,
}

/// How a table is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// `[name]`
    Single,
    /// `[[name]]`: may stand there many times. These keys each entry must have.
    List(&'static [&'static str]),
    /// `[name."ENTRY"]`: many times, each with a name of its own.
    Named,
}

pub(crate) const TABLES: &[Table] = &[
    Table {
        name: "sandbox",
        summary: "What the sandbox is made of.",
        form: Form::Single,
    },
    Table {
        name: "agent",
        summary: "The coding agent.",
        form: Form::Single,
    },
    Table {
        name: "resources",
        summary: "Limits. Each one is enforced, or the run is refused. A project file may lower what your own file sets, not raise it.",
        form: Form::Single,
    },
    Table {
        name: "security",
        summary: "The profile and its five grants. A project file may only tighten them.",
        form: Form::Single,
    },
    Table {
        name: "network",
        summary: "What the sandbox reaches, and what reaches it. A project file may only tighten the mode and the rules.",
        form: Form::Single,
    },
    Table {
        name: "files",
        summary: "Files of the project that are copied into the sandbox before the command starts. `source` and `dest` are required.",
        form: Form::List(&["source", "dest"]),
    },
    Table {
        name: "build",
        summary: "The image that this project builds. It is built by `agentkernel image build` or `run --build`, never without being asked.",
        form: Form::Single,
    },
    Table {
        name: "images",
        summary: "How images are got and kept.",
        form: Form::Single,
    },
    Table {
        name: "registries",
        summary: "How one registry is reached, as in `[registries.\"localhost:5000\"]`; Docker Hub is `docker.io`.",
        form: Form::Named,
    },
    Table {
        name: "defaults",
        summary: "What you prefer everywhere.",
        form: Form::Single,
    },
];

/// The keys of one table in the order of the reference.
pub(crate) fn keys_of(table: &str) -> impl Iterator<Item = &'static Key> + Clone {
    all_keys().filter(move |key| key.table == table)
}

pub(crate) fn all_keys() -> impl Iterator<Item = &'static Key> + Clone {
    KEYS.iter().chain(network::KEYS).chain(image_keys::KEYS)
}

pub(crate) const MAX_PIDS: u64 = 4_194_304;
/// 16 TiB, in mebibytes.
const MAX_MEBIBYTES: u64 = 1 << 24;
/// Below this not even a shell starts beside the guest agent.
pub(crate) const MIN_MEMORY_MEBIBYTES: u64 = 16;

const NAME: Shape = Shape::Text(
    "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$",
    "string, 1 to 63 letters, digits, `_`, `.`, `-`",
);
const IMAGE: Shape = Shape::Text(
    "^[A-Za-z0-9][A-Za-z0-9._/:@+-]{0,511}$",
    "`host`, or a reference such as `python:3.12-alpine`",
);
const BACKEND: Shape = Shape::Text("^[a-z0-9-]{1,32}$", "string: lower-case letters, digits, `-`");
const SOURCE: Shape = Shape::Text("^[^/]", "path, relative to the file's folder and beneath it");
const DEST: Shape = Shape::Text("^/", "absolute path in the sandbox");
const MODE: Shape = Shape::Text("^0?[0-7]{3}$", "string of octal digits, `\"0000\"` to `\"0777\"`");

macro_rules! grant {
    ($name:literal, $grant:ident, $example:literal, $summary:literal) => {
        Key {
            table: "security",
            name: $name,
            alias: None,
            scope: Scope::Both,
            shape: Shape::Boolean,
            default: "by the profile",
            summary: $summary,
            example: $example,
            read: |values, value, span| {
                let slot = &mut values.grants[crate::grants::Grant::$grant as usize];
                *slot = Some(At {
                    value: shape::boolean(value)?,
                    span,
                });
                Ok(())
            },
        }
    };
}

macro_rules! limit {
    ($name:literal, $limit:ident, $field:ident, $shape:expr, $example:literal, $summary:literal, $read:expr) => {
        Key {
            table: "resources",
            name: $name,
            alias: None,
            scope: Scope::Both,
            shape: $shape,
            default: "no limit",
            summary: $summary,
            example: $example,
            read: |values, value, span| {
                let read: fn(&DeValue<'_>) -> Result<_, ParseError> = $read;
                values.resources.$field = Some(read(value)?);
                values.limit_spans[crate::limits::Limit::$limit as usize] = Some(span);
                Ok(())
            },
        }
    };
}

const KEYS: &[Key] = &[
    Key {
        table: "sandbox",
        name: "name",
        alias: None,
        scope: Scope::Project,
        shape: NAME,
        default: "none",
        summary: "The name of the sandbox when one is created for this project.",
        example: "\"my-project\"",
        read: |values, value, span| {
            values.name = Some(At {
                value: shape::text(value)?.parse()?,
                span,
            });
            Ok(())
        },
    },
    Key {
        table: "sandbox",
        name: "base_image",
        alias: None,
        scope: Scope::Both,
        shape: IMAGE,
        default: "detected",
        summary: "The image. It is taken as it is; nothing is detected. Wins over `runtime` in the same file.",
        example: "\"python:3.12-alpine\"",
        read: |values, value, span| {
            values.image = Some(At {
                value: shape::text(value)?.parse()?,
                span,
            });
            Ok(())
        },
    },
    Key {
        table: "sandbox",
        name: "runtime",
        alias: Some("rootfs"),
        scope: Scope::Both,
        shape: Shape::Choice(RUNTIMES),
        default: "detected",
        summary: "The language whose image is used when the command does not say. `rootfs` is another name for it.",
        example: "\"python\"",
        read: |values, value, span| {
            values.runtime = Some(At {
                value: shape::choice(value, RUNTIMES)?,
                span,
            });
            Ok(())
        },
    },
    Key {
        table: "agent",
        name: "preferred",
        alias: None,
        scope: Scope::Both,
        shape: Shape::Choice(AGENTS),
        default: "none",
        summary: "The coding agent that is prepared in a new sandbox.",
        example: "\"claude\"",
        read: |values, value, span| {
            values.agent = Some(At {
                value: shape::choice(value, AGENTS)?,
                span,
            });
            Ok(())
        },
    },
    limit!(
        "vcpus",
        Cpus,
        cpus,
        Shape::Cpus,
        "1.5",
        "Processors.",
        shape::cpus
    ),
    limit!(
        "memory_mb",
        Memory,
        memory,
        Shape::Integer {
            min: MIN_MEMORY_MEBIBYTES,
            max: MAX_MEBIBYTES
        },
        "512",
        "Memory in MiB.",
        |value| shape::integer(value, MIN_MEMORY_MEBIBYTES, MAX_MEBIBYTES).map(ByteSize::from_mebibytes)
    ),
    limit!(
        "pids",
        Pids,
        pids,
        Shape::Integer {
            min: 2,
            max: MAX_PIDS
        },
        "256",
        "Processes and threads together, the first process of the sandbox included.",
        |value| shape::integer(value, 2, MAX_PIDS).map(|pids| pids as u32)
    ),
    limit!(
        "disk_mb",
        Disk,
        disk,
        Shape::Integer {
            min: 1,
            max: MAX_MEBIBYTES
        },
        "2048",
        "MiB that the sandbox may write outside its mounts.",
        |value| shape::integer(value, 1, MAX_MEBIBYTES).map(ByteSize::from_mebibytes)
    ),
    limit!(
        "timeout",
        Timeout,
        timeout,
        Shape::TimeSpan,
        "\"10m\"",
        "From the start of the command; then the sandbox is killed.",
        shape::time_span
    ),
    Key {
        table: "security",
        name: "profile",
        alias: None,
        scope: Scope::Both,
        shape: Shape::Choice(PROFILES),
        default: "`moderate`",
        summary: "The set of grants. It fills in the five keys below that nobody wrote out.",
        example: "\"restrictive\"",
        read: |values, value, span| {
            if shape::text(value)? == "custom" {
                return Err(ParseError::new(
                    "custom profiles are not supported yet: set the keys of [security] one by one",
                )
                .into());
            }
            let value = shape::choice(value, PROFILES)?.parse()?;
            values.profile = Some(At { value, span });
            Ok(())
        },
    },
    Key {
        table: "security",
        name: "network",
        alias: None,
        scope: Scope::Both,
        shape: Shape::Boolean,
        default: "by the profile",
        summary: "`false` is the mode `none` of [network]; `true` is the profile's mode, or `public` where that is `none`.",
        example: "false",
        read: |values, value, span| {
            let value = shape::boolean(value)?;
            values.network.granted = Some(At { value, span });
            Ok(())
        },
    },
    grant!(
        "mount_cwd",
        MountCwd,
        "false",
        "Mounts the current folder, writable."
    ),
    grant!(
        "mount_home",
        MountHome,
        "false",
        "Mounts the home folder, read-only, without credential stores."
    ),
    grant!(
        "pass_env",
        PassEnv,
        "false",
        "Passes the caller's environment, without credentials."
    ),
    grant!(
        "read_only",
        ReadOnly,
        "true",
        "Makes the root read-only, with a private `/tmp`."
    ),
    Key {
        table: "files",
        name: "source",
        alias: None,
        scope: Scope::Project,
        shape: SOURCE,
        default: "required",
        summary: "A regular file. Symbolic links may not lead out of the project.",
        example: "\"settings/dev.json\"",
        read: |values, value, span| {
            draft(values).source = Some(At {
                value: shape::text(value)?.to_owned(),
                span,
            });
            Ok(())
        },
    },
    Key {
        table: "files",
        name: "dest",
        alias: None,
        scope: Scope::Project,
        shape: DEST,
        default: "required",
        summary: "Where the copy is in the sandbox.",
        example: "\"/home/sandbox/settings.json\"",
        read: |values, value, span| {
            draft(values).dest = Some(At {
                value: shape::text(value)?.parse()?,
                span,
            });
            Ok(())
        },
    },
    Key {
        table: "files",
        name: "mode",
        alias: None,
        scope: Scope::Project,
        shape: MODE,
        default: "`\"0644\"`",
        summary: "The permissions of the copy.",
        example: "\"0600\"",
        read: |values, value, span| {
            draft(values).mode = Some(At {
                value: shape::mode(value)?,
                span,
            });
            Ok(())
        },
    },
    Key {
        table: "defaults",
        name: "backend",
        alias: None,
        scope: Scope::User,
        shape: BACKEND,
        default: "the best one",
        summary: "The backend that makes the sandboxes.",
        example: "\"native\"",
        read: |values, value, span| {
            values.backend = Some(At {
                value: shape::text(value)?.parse()?,
                span,
            });
            Ok(())
        },
    },
    Key {
        table: "defaults",
        name: "isolation",
        alias: None,
        scope: Scope::User,
        shape: Shape::Choice(GRADES),
        default: "none",
        summary: "The weakest isolation grade that will do. A backend below it is never used.",
        example: "\"container\"",
        read: |values, value, span| {
            values.isolation = Some(At {
                value: shape::choice(value, GRADES)?.parse()?,
                span,
            });
            Ok(())
        },
    },
];

/// The `[[files]]` entry that is being read.
fn draft(values: &mut Values) -> &mut FileDraft {
    values
        .files
        .last_mut()
        .expect("an entry is begun before its keys are read")
}
