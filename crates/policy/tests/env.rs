//! Which variables pass, by table.

use agentkernel_policy::passed_env;
use agentkernel_types::EnvVar;

fn variables(names: &[&str]) -> Vec<EnvVar> {
    names
        .iter()
        .map(|name| EnvVar::new(*name, "value").expect("valid"))
        .collect()
}

fn kept(names: &[&str], home_is_mounted: bool) -> Vec<String> {
    let passed = passed_env(&variables(names), home_is_mounted);
    passed
        .kept
        .iter()
        .map(|variable| variable.name().to_owned())
        .collect()
}

#[test]
fn names_of_credentials_are_dropped() {
    let names = [
        "GITHUB_TOKEN",
        "gh_token",
        "GITHUBTOKEN",
        "NPM_TOKEN",
        "OPENAI_API_KEY",
        "STRIPE_KEY",
        "MY_APIKEY",
        "SIGNINGKEY",
        "DB_PASSWORD",
        "PGPASSWORD",
        "MYSQL_PWD",
        "DB_PASS",
        "CLIENT_SECRET",
        "SECRET_KEY_BASE",
        "MYSECRETS",
        "AWS_PROFILE",
        "AWS_ACCESS_KEY_ID",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "AZURE_CLIENT_ID",
        "ANTHROPIC_BASE_URL",
        "npm_config__authToken",
        "PIP_AUTH",
        "SENTRY_DSN",
        "DATABASE_URL",
        "SESSION_COOKIE",
        "GPG_TTY",
        "TF_VAR_x",
        "KRB5CCNAME",
    ];
    assert!(kept(&names, true).is_empty(), "{:?}", kept(&names, true));
}

#[test]
fn ways_to_services_of_the_host_are_dropped() {
    let names = [
        "SSH_AUTH_SOCK",
        "SSH_CONNECTION",
        "GPG_AGENT_INFO",
        "DBUS_SESSION_BUS_ADDRESS",
        "XDG_RUNTIME_DIR",
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "XAUTHORITY",
        "DOCKER_HOST",
        "KUBECONFIG",
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "DYLD_INSERT_LIBRARIES",
        "AGENTKERNEL_HOME",
        "AGENTKERNEL_PROFILE",
        "VSCODE_IPC_HOOK_CLI",
        "TMUX",
        "SWAYSOCK",
        "I3SOCK",
        "MY_AGENT_SOCK",
        "BASH_ENV",
        "BASH_FUNC_which%%",
        "NOTIFY_SOCKET",
    ];
    assert!(kept(&names, true).is_empty(), "{:?}", kept(&names, true));
}

#[test]
fn what_describes_the_host_is_dropped_and_the_home_only_if_it_is_not_there() {
    assert!(
        kept(
            &["PATH", "PWD", "OLDPWD", "SHLVL", "_", "TMPDIR", "HOSTNAME"],
            true
        )
        .is_empty()
    );
    let home = ["HOME", "USER", "LOGNAME", "XDG_CONFIG_HOME"];
    assert!(kept(&home, false).is_empty());
    assert_eq!(kept(&home, true), home);
}

#[test]
fn ordinary_variables_are_kept_in_their_order() {
    let names = [
        "LANG",
        "LC_ALL",
        "TZ",
        "TERM",
        "COLORTERM",
        "EDITOR",
        "CI",
        "NODE_ENV",
        "RUST_LOG",
        "DEBUG",
        "MAKEFLAGS",
        "TOKENIZERS_PARALLELISM",
        "KEYBOARD",
        "MONKEYS",
        "PASSTHROUGH",
        "NO_COLOR",
        "HTTP_PROXY",
        "GOPROXY",
        "JAVA_HOME_VERSION",
        "COMPASS",
        "AUTHOR",
        "GIT_AUTHOR_NAME",
        "PINNED",
    ];
    assert_eq!(kept(&names, false), names);
}

#[test]
fn values_that_hold_a_login_are_dropped_whatever_their_name() {
    let cases = [
        ("https://ada:secret@proxy:3128", true),
        ("https://token@host/path", true),
        ("postgres://ada:se/cret@host/db", true),
        ("see http://ok.example and redis://:secret@cache", true),
        ("http://proxy:3128", false),
        ("https://registry.example/@scope/package", false),
        ("ada@example.com", false),
        ("ghp_0123456789abcdef", true),
        ("eyJhbGciOiJIUzI1NiJ9.e30.x", true),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\n", true),
        ("unix:///run/user/1000/x.sock", true),
        ("sk-no", false),
        ("sketch", false),
    ];
    for (value, is_dropped) in cases {
        let passed = passed_env(&[EnvVar::new("THING", value).expect("valid")], true);
        assert_eq!(!passed.dropped.is_empty(), is_dropped, "{value}");
    }
}

#[test]
fn reasons_hold_no_value() {
    let passed = passed_env(&[EnvVar::new("X_TOKEN", "precious").expect("valid")], true);
    assert!(!format!("{passed:?}").contains("precious"));
    assert_eq!(passed.dropped[0].name, "X_TOKEN");
}
