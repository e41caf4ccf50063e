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
always. The same holds for the mode, the rules and the ports of the network. Where a flag or a variable decides the same thing, it decides and there is no error.
A file named by `--config` has no more trust than one that was found.

A profile fills in the five grants that nobody wrote out. A stronger source's profile takes back what weaker
sources granted; it does not lift what they denied by name. With `mount_home = false` in your own file,
`--profile permissive` does not mount the home folder, and `--mount-home` does.

An image beats a runtime of the same file; a project's runtime beats your own file's image.

## The network

The modes from the strictest to the loosest are `none`, `allowlist`, `public`, `open` and `host`. A denial beats every
allowance. What a rule means in each mode is decided where it is enforced.

```toml
# agentkernel.toml: this project needs its registry and nothing else
[network]
allow = [\"preset:npm\"]
ports = [\"3000:3000\"]
```

```toml
# your own file
[network]
mode = \"public\"
allow = [\"10.1.0.0/16:443\"]
deny = [\"*.example.net\"]
dns = [\"192.0.2.1\"]
```

**A list of what is allowed means that the rest is not.** `allow` without `mode`, in the same source or a stronger one,
is the mode `allowlist`, and so is `--allow` without `--network`. `--deny` leaves the mode alone.

A mode that is written out beats the profile of the same source; the profile of a stronger one takes it back if it is
looser. `[security] network` says the same with fewer words, and one file must not say both and mean different things.
A mode in which a list of the same or a stronger source would have no effect, such as `deny` in the mode `host`, is an
error that names the list.

Your own rules add up: those of `--allow` come on top of your file's. The project's are not added to them: of the
project's list the rules hold that your own sources, flags included, allow as well, and a rule that they do not allow
is an error. `--network` together with `--allow` is the whole word: then the project's other rules are dropped.
What the project denies is denied.

Ports and name servers are not added up: those of the strongest source that has any hold. A project's ports are on the
loopback, free ones or from 1024 on, unless your own file has the same.

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
         These are known and refused by name.\n\n| key | why |\n|---|---|\n",
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
