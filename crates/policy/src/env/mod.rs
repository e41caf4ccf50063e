//! Which of the caller's variables a sandbox may have, for `pass_env`.
//!
//! Judged by name and by value. Rather one too many is dropped: what is needed can be passed by name with `-e`.

mod names;

use agentkernel_types::EnvVar;

use names::*;

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PassedEnv {
    pub kept: Vec<EnvVar>,
    pub dropped: Vec<DroppedVar>,
}

/// The value is not kept: reasons are shown to people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DroppedVar {
    pub name: String,
    pub why: &'static str,
}

/// `home_is_mounted`: the home folder is in the sandbox at its own path, so variables that point to it make sense.
pub fn passed_env(caller: &[EnvVar], home_is_mounted: bool) -> PassedEnv {
    let mut passed = PassedEnv::default();
    for variable in caller {
        match reason_to_drop(variable, home_is_mounted) {
            Some(why) => passed.dropped.push(DroppedVar {
                name: variable.name().to_owned(),
                why,
            }),
            None => passed.kept.push(variable.clone()),
        }
    }
    passed
}

fn reason_to_drop(variable: &EnvVar, home_is_mounted: bool) -> Option<&'static str> {
    let name = variable.name().to_ascii_uppercase();
    let is_one_of = |names: &[&str]| names.contains(&name.as_str());
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if starts(&["AGENTKERNEL_"]) {
        return Some("it steers agentkernel itself");
    }
    if is_one_of(CREDENTIALS) || starts(CREDENTIAL_PREFIXES) || names_a_credential(&name) {
        return Some("its name is one of a credential");
    }
    if is_one_of(CONTROL) || starts(CONTROL_PREFIXES) || words(&name).any(is_control) {
        return Some("it leads to a service of the host");
    }
    if starts(LOADER_PREFIXES) || is_one_of(LOADER) {
        return Some("it loads code of the host into programs");
    }
    if is_one_of(SENSELESS) {
        return Some("it describes the host and not the sandbox");
    }
    if !home_is_mounted && (is_one_of(HOME) || (starts(&["XDG_"]) && name.ends_with("_HOME"))) {
        return Some("the home folder is not in the sandbox");
    }
    if ["unix:", "npipe:", "fd:", "vsock:"]
        .iter()
        .any(|scheme| variable.value().starts_with(scheme))
    {
        return Some("it leads to a service of the host");
    }
    if has_login_in_url(variable.value()) {
        return Some("its value holds a URL with a login");
    }
    if is_credential(variable.value()) {
        return Some("its value looks like a credential");
    }
    None
}

fn names_a_credential(name: &str) -> bool {
    // Endings, so that TOKENIZERS_PARALLELISM stays.
    let is_token = |word: &str| word.ends_with("TOKEN") || word.ends_with("TOKENS") || word.ends_with("KEY");
    CREDENTIAL_FRAGMENTS
        .iter()
        .any(|fragment| name.contains(fragment))
        || (name != "PWD" && words(name).any(|word| CREDENTIAL_WORDS.contains(&word) || is_token(word)))
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
}

fn is_control(word: &str) -> bool {
    word.ends_with("SOCK") || word.ends_with("SOCKET") || matches!(word, "IPC" | "ASKPASS")
}

/// A URL such as `postgres://ada:secret@host/db`, anywhere in the value.
fn has_login_in_url(value: &str) -> bool {
    value.match_indices("://").any(|(start, separator)| {
        let rest = &value[start + separator.len()..];
        let url = rest
            .split(|c: char| c.is_whitespace() || matches!(c, '"' | '\''))
            .next()
            .unwrap_or(rest);
        let authority = url.split(['/', '?', '#']).next().unwrap_or(url);
        // A password with an unescaped slash is wrong and yet found: so a colon before a later '@' is enough.
        authority.contains('@') || url.split_once('@').is_some_and(|(login, _)| login.contains(':'))
    })
}

fn is_credential(value: &str) -> bool {
    value.contains("-----BEGIN ")
        || TOKEN_BEGINNINGS
            .iter()
            .any(|beginning| value.len() >= beginning.len() + 8 && value.starts_with(beginning))
}
