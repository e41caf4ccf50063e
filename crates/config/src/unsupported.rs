//! What existing configuration files say and we cannot honour yet. Each is refused by name.

/// A whole table or one key of it.
#[derive(Debug)]
pub(crate) struct Unsupported {
    pub table: &'static str,
    /// None: the table as a whole.
    pub key: Option<&'static str>,
    /// A sentence for people.
    pub reason: &'static str,
}

const fn key(table: &'static str, key: &'static str, reason: &'static str) -> Unsupported {
    Unsupported {
        table,
        key: Some(key),
        reason,
    }
}

const fn table(table: &'static str, reason: &'static str) -> Unsupported {
    Unsupported {
        table,
        key: None,
        reason,
    }
}

pub(crate) const UNSUPPORTED: &[Unsupported] = &[
    key(
        "sandbox",
        "init_script",
        "scripts at the start of a sandbox are not supported yet",
    ),
    key(
        "agent",
        "compatibility_mode",
        "compatibility modes are not supported yet",
    ),
    key("agent", "git_name", "setting git's author is not supported yet"),
    key("agent", "git_email", "setting git's author is not supported yet"),
    key(
        "security",
        "seccomp",
        "a seccomp filter of one's own is not supported yet",
    ),
    key("security", "domains", "rules for domains are not supported yet"),
    key("security", "commands", "rules for commands are not supported yet"),
    key(
        "security",
        "transport",
        "transport settings are not supported yet",
    ),
    key(
        "network",
        "vsock_cid",
        "choosing a vsock address is not supported yet",
    ),
    key("network", "name", "named networks are not supported yet"),
    key("network", "subnet", "named networks are not supported yet"),
    key("network", "gateway", "named networks are not supported yet"),
    key("network", "static_ip", "named networks are not supported yet"),
    table("api", "the HTTP API is not supported yet"),
    table("enterprise", "enterprise settings are not supported yet"),
    table("git", "git worktrees are not supported yet"),
    table(
        "llm_governance",
        "rules for language models are not supported yet",
    ),
    table("llm_keys", "keys of language models are not supported yet"),
    table("orchestrator", "orchestrators are not supported yet"),
    table("proxy", "proxy hooks are not supported yet"),
    table("remote", "remote providers are not supported yet"),
    table("schedule", "schedules are not supported yet"),
    table("scheduling", "schedules are not supported yet"),
    table("secrets", "secrets are not supported yet"),
    table("ssh", "ssh is not supported yet"),
    table("template", "templates are not supported yet"),
    table("workspace", "schedules are not supported yet"),
];

pub(crate) fn unsupported_table(table: &str) -> Option<&'static Unsupported> {
    UNSUPPORTED
        .iter()
        .find(|entry| entry.table == table && entry.key.is_none())
}

pub(crate) fn unsupported_key(table: &str, key: &str) -> Option<&'static Unsupported> {
    UNSUPPORTED
        .iter()
        .find(|entry| entry.table == table && entry.key == Some(key))
}
