//! The text of `docs/reference/config.md`, made from the same data that reads the files.

use std::fmt::Write as _;

use crate::{
    VARIABLES,
    keys::{Form, Key, Scope, TABLES, keys_of},
    unsupported::UNSUPPORTED,
};

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated from crates/config; a test keeps it current. Do not edit by hand. -->

A project's settings are in `agentkernel.toml`, in the current folder or one above it. Yours are in
`$XDG_CONFIG_HOME/agentkernel/config.toml` (`~/.config/agentkernel/config.toml`), in the same format.
A file has at most 1 MiB of UTF-8. Unknown keys, wrong types and impossible values are errors, and so is
every key that is not supported yet: nothing is ignored.

## Which source decides

From the strongest to the weakest: flags, environment, the project's file, your own file, defaults.

**A project file may only tighten.** It is part of a repository and may be hostile, so what it says about
the profile, the grants and the limits is compared with what your own file and the defaults give. To loosen
is an error that names the place, the flag that allows it once and the line of your own file that allows it
always. Where a flag or a variable decides the same thing, it decides and there is no error.
A file named by `--config` has no more trust than one that was found.

A profile fills in the five grants that nobody wrote out. A stronger source's profile takes back what weaker
sources granted; it does not lift what they denied by name. With `mount_home = false` in your own file,
`--profile permissive` does not mount the home folder, and `--mount-home` does.

An image beats a runtime of the same file; a project's runtime beats your own file's image.

## How the project's file is found

The search looks into the current folder and the ones above it. It ends after your home folder, before a folder
on another file system, before a folder above the current one that every user may write (such as `/tmp`), and
after a folder of another user. A file that belongs to neither you nor root is refused; `--config FILE`
uses it all the same. Your own file must belong to you or root and must not be writable by everybody.

";

/// The whole page.
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("## Keys\n\n");
    for table in TABLES {
        let header = match table.form {
            Form::Single => format!("[{}]", table.name),
            Form::List(_) => format!("[[{}]]", table.name),
            Form::Named => format!("[{}.\"HOST[:PORT]\"]", table.name),
        };
        let place = match keys_of(table.name).map(|key| key.scope).collect::<Vec<_>>() {
            scopes if scopes.iter().all(|scope| *scope == Scope::User) => " Only in your own file.",
            scopes if scopes.iter().all(|scope| *scope == Scope::Project) => " Only in a project's file.",
            _ => "",
        };
        writeln!(page, "### `{header}`\n\n{}{place}\n", table.summary).expect("a string takes all");
        page.push_str("| key | value | default | meaning | example |\n|---|---|---|---|---|\n");
        for key in keys_of(table.name) {
            page.push_str(&row(key, place.is_empty()));
        }
        page.push('\n');
    }
    page.push_str("## Environment\n\n| variable | as the flag | meaning |\n|---|---|---|\n");
    for variable in VARIABLES {
        writeln!(
            page,
            "| `{}` | `{}` | {} |",
            variable.name, variable.key, variable.summary
        )
        .expect("a string takes all");
    }
    page.push_str(
        "\nAn empty variable counts as unset.\n\n## Not supported yet\n\n\
         These are known and refused by name. `ports` and `dns` may be empty.\n\n| key | why |\n|---|---|\n",
    );
    for entry in UNSUPPORTED {
        let key = entry.key.map_or_else(String::new, |key| format!(" {key}"));
        writeln!(page, "| `[{}]{key}` | {} |", entry.table, entry.reason).expect("a string takes all");
    }
    page
}

fn row(key: &Key, say_scope: bool) -> String {
    let place = match key.scope {
        Scope::Project if say_scope => " Only in a project's file.",
        Scope::User if say_scope => " Only in your own file.",
        _ => "",
    };
    let (value, default) = (key.shape.describe(), key.default);
    format!(
        "| `{}` | {value} | {default} | {}{place} | `{}` |\n",
        key.name, key.summary, key.example
    )
}
