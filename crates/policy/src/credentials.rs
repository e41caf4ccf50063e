//! Where people keep credentials in their home folder, as data with names.
//!
//! A store is visible in a sandbox only if it was asked for by name. Histories count: people type passwords. Folders
//! with control sockets of container engines and desktops count, too: a socket works through a read-only mount.

use std::path::{Path, PathBuf};

use crate::Denied;

/// Paths are relative to the home folder, of files or folders.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct CredentialStore {
    pub name: &'static str,
    pub paths: &'static [&'static str],
}

/// The stores that were asked for. One that exists names stores that exist.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Credentials(Vec<&'static str>);

/// A path of a store that is really there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundStore {
    pub name: &'static str,
    /// Where it really lies, all links resolved: it may be outside the home folder.
    pub path: PathBuf,
}

impl Credentials {
    /// Takes names (`ssh`) and paths of stores (`.ssh`, `~/.ssh`).
    pub fn parse<S: AsRef<str>>(asked: &[S]) -> Result<Self, Denied> {
        let parsed: Result<Vec<_>, _> = asked.iter().map(|text| find_by_name(text.as_ref())).collect();
        Ok(Self(parsed?))
    }

    pub fn include(&self, name: &str) -> bool {
        self.0.contains(&name)
    }
}

/// The stores that exist. `resolve` gives the path of what is really there, all links followed; None if nothing is.
pub fn find_stores(home: &Path, resolve: &dyn Fn(&Path) -> Option<PathBuf>) -> Vec<FoundStore> {
    let each = CREDENTIAL_STORES
        .iter()
        .flat_map(|store| store.paths.iter().map(move |path| (store.name, path)));
    each.filter_map(|(name, path)| {
        Some(FoundStore {
            name,
            path: resolve(&home.join(path))?,
        })
    })
    .collect()
}

fn find_by_name(text: &str) -> Result<&'static str, Denied> {
    let plain = text.strip_prefix("~/").unwrap_or(text).trim_end_matches('/');
    let found = CREDENTIAL_STORES
        .iter()
        .find(|store| store.name == plain || store.paths.contains(&plain));
    found.map(|store| store.name).ok_or_else(|| unknown(text, plain))
}

fn unknown(text: &str, plain: &str) -> Denied {
    let distance = |name: &str| strsim::damerau_levenshtein(name, plain.trim_start_matches('.'));
    let nearest = CREDENTIAL_STORES
        .iter()
        .map(|store| store.name)
        .min_by_key(|name| distance(name));
    let guess = match nearest.filter(|name| distance(name) <= 2) {
        Some(name) => format!("did you mean {name}? "),
        None => String::new(),
    };
    let all: Vec<_> = CREDENTIAL_STORES.iter().map(|store| store.name).collect();
    let why = "no credential store has that name";
    Denied::new(
        format!("credentials {text:?}"),
        why,
        format!("{guess}known names: {}", all.join(", ")),
    )
    .invalid()
}

macro_rules! stores {
    ($($name:literal: $($path:literal)+;)+) => {
        &[$(CredentialStore { name: $name, paths: &[$($path),+] }),+]
    };
}

/// All stores that are known. Names are unique, and no path lies beneath another one.
pub const CREDENTIAL_STORES: &[CredentialStore] = stores! {
    // Keys and logins of machines.
    "ssh": ".ssh" ".putty" ".rhosts" ".shosts";
    "gnupg": ".gnupg" ".config/age" ".config/sops";
    "netrc": ".netrc" "_netrc" ".authinfo" ".authinfo.gpg";
    "kerberos": ".k5login" ".k5identity" ".krb5";
    "cert": ".pki" ".config/pki" ".globus" ".mitmproxy";
    // Source code.
    "git": ".git-credentials" ".config/git/credentials" ".cache/git" ".git-credential-cache" ".gcm";
    "gh": ".config/gh" ".config/hub";
    "glab": ".config/glab-cli" ".config/tea" ".config/jj/auth";
    "svn": ".subversion/auth" ".hgrc";
    // Clouds.
    "aws": ".aws" ".config/aws" ".elasticbeanstalk" ".s3cfg" ".boto" ".config/aws-vault" ".awsvault" ".saml2aws";
    "azure": ".azure" ".config/azure" ".IdentityService";
    "gcloud": ".config/gcloud" ".config/gsutil" ".gsutil" ".config/firebase" ".config/configstore" ".clasprc.json";
    "doctl": ".config/doctl";
    "cloud": ".oci" ".aliyun" ".bluemix" ".config/hcloud" ".config/scw" ".config/linode-cli" ".linode-cli"
        ".config/openstack" ".config/exoscale" ".config/rclone" ".rclone.conf" ".mc" ".config/backblaze_b2" ".b2_account_info";
    "hosting": ".fly" ".netlify" ".config/netlify" ".config/heroku" ".local/share/heroku" ".config/vercel" ".vercel"
        ".local/share/com.vercel.cli" ".wrangler" ".config/.wrangler" ".config/railway" ".railway" ".config/render" ".render"
        ".cloudflared" ".ngrok2" ".config/ngrok" ".supabase" ".config/stripe" ".shopify" ".config/shopify";
    "databricks": ".databrickscfg" ".databricks";
    "access": ".tsh" ".okta" ".granted" ".config/tailscale" ".step" ".minisign" ".android/adbkey";
    "services": ".circleci" ".travis" ".config/travis" ".sentryclirc" ".jfrog" ".influxdbv2" ".expo" ".dbt" ".config/cachix" ".cachix"
        ".cdsapirc" ".config/earthengine" ".streamlit" ".vultr-cli.yaml" ".config/nix" ".Renviron" ".config/libvirt"
        ".lein/credentials.clj" ".lein/credentials.clj.gpg";
    "shares": ".config/filezilla" ".filezilla" ".smbcredentials" ".davfs2";
    "backup": ".config/borg" ".config/kopia" ".config/restic";
    "snowflake": ".snowflake" ".snowsql" ".config/snowflake";
    "terraform": ".terraform.d" ".terraformrc" ".config/opentofu" ".tofurc";
    "pulumi": ".pulumi" ".config/pulumi";
    "vault": ".vault-token" ".vault" ".config/doppler" ".doppler" ".infisical" ".config/chamber";
    "ansible": ".ansible" ".vault_pass" ".vault_pass.txt" ".vault-password" ".chef" ".puppetlabs";
    // Containers: logins, and the sockets that rule the engine.
    "docker": ".docker" ".dockercfg" ".config/containers/auth.json" ".config/docker" ".local/share/docker";
    "podman": ".local/share/containers" ".config/containers/podman-connections.json";
    "kube": ".kube" ".config/helm" ".helm" ".minikube" ".k3d" ".config/k3d" ".config/k9s" ".local/share/k9s" ".config/argocd" ".argocd";
    "engine": ".colima" ".config/colima" ".lima" ".rd" ".orbstack" ".finch" ".multipass" ".vagrant.d";
    // Package registries.
    "npm": ".npmrc" ".config/npm" ".yarnrc" ".yarnrc.yml" ".config/yarn" ".bunfig.toml" ".config/.bunfig.toml"
        ".config/pnpm/rc" ".config/pnpm/auth.ini";
    "pypi": ".pypirc" ".config/pypoetry" ".config/pip" ".pip" ".config/uv" ".local/share/uv/credentials" ".condarc"
        ".continuum" ".config/hatch" ".local/share/python_keyring" ".config/python_keyring";
    "cargo": ".cargo/credentials" ".cargo/credentials.toml";
    "gem": ".gem/credentials" ".local/share/gem/credentials" ".bundle/config" ".config/bundle";
    "composer": ".composer/auth.json" ".config/composer/auth.json";
    "nuget": ".nuget/NuGet" ".config/NuGet";
    "maven": ".m2/settings.xml" ".m2/settings-security.xml";
    "gradle": ".gradle/gradle.properties" ".gradle/init.gradle" ".gradle/init.d" ".sbt/.credentials" ".ivy2/.credentials" ".config/coursier";
    "hex": ".hex" ".config/hex" ".mix/hex.config";
    // Databases.
    "database": ".pgpass" ".pg_service.conf" ".my.cnf" ".mylogin.cnf" ".mongorc.js" ".mongodb" ".config/mongodb" ".rediscli_auth"
        ".cassandra" ".odbc.ini" ".dbeaver" ".local/share/DBeaverData" ".config/pgcli" ".config/litecli" ".config/mycli" ".myclirc";
    // Password managers and desktops.
    "op": ".config/op" ".op" ".1password" ".config/1Password" ".config/1password";
    "password-store": ".password-store" ".local/share/password-store" ".config/gopass" ".local/share/gopass";
    "bitwarden": ".config/Bitwarden" ".config/Bitwarden CLI" ".config/bitwarden" ".config/rbw" ".local/share/rbw" ".cache/rbw";
    "keyring": ".local/share/keyrings" ".local/share/kwalletd" ".kde/share/apps/kwallet" ".gnome2/keyrings" ".config/keepassxc" ".cache/keepassxc"
        ".config/KeePass" ".lastpass" ".config/lpass" ".local/share/lpass" ".config/enpass" "Library/Keychains" ".yubico" ".config/Yubico" ".config/Authy";
    "desktop": ".Xauthority" ".ICEauthority" ".dbus" ".vnc" ".config/tigervnc" ".config/remmina" ".local/share/remmina" ".config/pulse" ".pulse-cookie";
    // Browsers, mail and messengers.
    "browser": ".mozilla" ".config/mozilla" ".cache/mozilla" ".config/google-chrome" ".config/google-chrome-beta" ".config/google-chrome-unstable" ".config/chromium"
        ".config/BraveSoftware" ".config/microsoft-edge" ".config/microsoft-edge-beta" ".config/microsoft-edge-dev" ".config/opera" ".config/vivaldi" ".config/epiphany"
        ".local/share/epiphany" ".config/falkon" ".local/share/falkon" ".config/qutebrowser" ".local/share/qutebrowser" ".librewolf" ".waterfox"
        ".zen" ".tor-browser" ".local/share/torbrowser" ".config/net.imput.helium" ".config/thorium"
        "snap/firefox" "snap/chromium" "snap/brave" "snap/opera" "snap/thunderbird" ".var/app"
        "Library/Application Support/Google" "Library/Application Support/Firefox" "Library/Application Support/Chromium"
        "Library/Application Support/BraveSoftware" "Library/Application Support/Microsoft Edge" "Library/Application Support/Arc"
        "Library/Application Support/com.operasoftware.Opera" "Library/Application Support/Vivaldi" "Library/Safari" "Library/Cookies" "Library/WebKit"
        "Library/HTTPStorages" "Library/Containers" "Library/Group Containers";
    "mail": ".thunderbird" ".config/evolution" ".local/share/evolution" ".local/share/geary" ".config/geary" ".mutt" ".config/mutt" ".muttrc" ".config/neomutt"
        ".neomuttrc" ".msmtprc" ".config/msmtp" ".fetchmailrc" ".getmail" ".mbsyncrc" ".isyncrc" ".config/isyncrc" ".offlineimaprc" ".config/offlineimap"
        ".config/himalaya" ".config/aerc" ".mailrc" ".esmtprc" ".config/goa-1.0" "Library/Mail" "Library/Messages" "Library/Accounts";
    "messenger": ".config/Slack" ".config/discord" ".config/Signal" ".local/share/TelegramDesktop" ".config/Element" ".config/Mattermost" ".config/teams"
        ".config/skypeforlinux" ".weechat" ".config/weechat" ".local/share/weechat" ".irssi" ".config/hexchat" ".purple" ".config/zoom.conf" ".zoom"
        "Library/Application Support/Slack" "Library/Application Support/discord" "Library/Application Support/Signal";
    "wallet": ".bitcoin" ".ethereum" ".electrum" ".config/solana" ".monero" ".config/Exodus" ".config/Ledger Live" ".foundry/keystores" ".near-credentials"
        ".cosmos" ".gaia" ".brownie";
    // Agents and their models.
    "claude": ".claude" ".claude.json" ".claude.json.backup" ".config/claude" ".config/Claude" ".local/share/claude" ".local/state/claude" ".cache/claude"
        "Library/Application Support/Claude";
    "codex": ".codex" ".config/codex";
    "gemini": ".gemini" ".config/gemini";
    "opencode": ".config/opencode" ".local/share/opencode" ".local/state/opencode" ".opencode";
    "copilot": ".config/github-copilot" ".copilot";
    "cursor": ".cursor" ".config/Cursor" ".cursor-server" "Library/Application Support/Cursor";
    "aider": ".aider" ".aider.conf.yml" ".aider.chat.history.md" ".aider.input.history" ".aider.tags.cache.v3" ".aider.model.settings.yml" ".aider.model.metadata.json";
    "agents": ".continue" ".anthropic" ".config/anthropic" ".openai" ".config/openai" ".codeium" ".config/codeium" ".windsurf" ".config/Windsurf" ".amp" ".config/amp"
        ".local/share/amp" ".config/goose" ".local/share/goose" ".qwen" ".kiro" ".aws-q" ".amazonq" ".local/share/amazon-q" ".config/cody" ".sourcegraph" ".tabnine"
        ".config/TabNine" ".config/shell_gpt" ".config/io.datasette.llm" ".config/mods" ".config/fabric" ".config/crush" ".local/share/crush" ".factory" ".augment"
        ".mcp-auth" ".mcp.json" ".ollama" ".config/zed" ".local/share/zed" ".config/litellm";
    "huggingface": ".huggingface" ".cache/huggingface/token" ".cache/huggingface/stored_tokens" ".config/huggingface";
    "research": ".kaggle" ".config/kaggle" ".config/wandb" ".comet.config" ".jupyter" ".local/share/jupyter/runtime" ".ipython/profile_default/security" ".modal.toml" ".runpod" ".replicate";
    "agentkernel": ".config/agentkernel" ".local/share/agentkernel" ".cache/agentkernel" ".agentkernel";
    // Editors keep tokens of their extensions, and what was edited last.
    "editor": ".config/Code" ".config/Code - Insiders" ".config/VSCodium" ".vscode-server" ".vscode-server-insiders" ".vscode-oss" ".config/JetBrains"
        ".local/share/JetBrains" ".config/github-desktop" ".config/GitHub Desktop" ".config/Postman" ".config/Insomnia" ".config/Bruno" ".emacs.d/auth"
        ".viminfo" ".local/share/nvim/shada" ".local/state/nvim/shada" "Library/Application Support/Code";
    "dotenv": ".env" ".envrc" ".secrets" ".env.local" ".config/environment.d" ".config/direnv" ".local/share/direnv" ".pam_environment";
    "history": ".bash_history" ".bash_sessions" ".zsh_history" ".zhistory" ".histfile" ".zsh_sessions" ".ash_history" ".ksh_history" ".sh_history" ".history"
        ".tcsh_history" ".local/share/fish" ".config/fish/fish_history" ".config/nushell/history.txt" ".config/nushell/history.sqlite3" ".local/share/powershell"
        ".local/share/atuin" ".config/atuin" ".python_history" ".ipython/profile_default/history.sqlite" ".psql_history" ".pgcli_history" ".mysql_history" ".mariadb_history"
        ".sqlite_history" ".rediscli_history" ".mongo_history" ".dbshell" ".node_repl_history" ".ts_node_repl_history" ".irb_history" ".pry_history" ".php_history"
        ".scala_history" ".julia/logs/repl_history.jl" ".Rhistory" ".lua_history" ".gdb_history" ".lldb" ".lesshst" ".wget-hsts" ".w3m" ".local/share/mc/history"
        ".local/share/recently-used.xbel" ".bash_history.bak" ".local/state/bash" ".local/state/zsh" ".local/share/zsh" ".local/state/python_history" ".local/state/psql_history";
};
