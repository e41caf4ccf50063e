//! The home folder of a person in the permissive profile: readable, and without what opens doors elsewhere.

use std::fs;

use agentkernel_tests::cli::Home;

use crate::marks::write_for_everyone;

/// Written down without a look at the product's own list, from what common programs document.
const STORES: &[&str] = &[
    ".ssh/id_rsa",
    ".ssh/config",
    ".aws/credentials",
    ".aws/sso/cache/token.json",
    ".azure/msal_token_cache.json",
    ".config/gcloud/credentials.db",
    ".gnupg/private-keys-v1.d/key.key",
    ".docker/config.json",
    ".kube/config",
    ".netrc",
    "_netrc",
    ".git-credentials",
    ".config/git/credentials",
    ".config/gh/hosts.yml",
    ".config/hub",
    ".npmrc",
    ".yarnrc.yml",
    ".pypirc",
    ".config/pip/pip.conf",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".gem/credentials",
    ".composer/auth.json",
    ".m2/settings.xml",
    ".gradle/gradle.properties",
    ".terraform.d/credentials.tfrc.json",
    ".vault-token",
    ".pgpass",
    ".my.cnf",
    ".mylogin.cnf",
    ".password-store/web.gpg",
    ".local/share/keyrings/login.keyring",
    ".local/share/kwalletd/kdewallet.kwl",
    ".config/op/config",
    ".config/rclone/rclone.conf",
    ".s3cfg",
    ".boto",
    ".oci/config",
    ".config/doctl/config.yaml",
    ".fly/config.yml",
    ".config/containers/auth.json",
    ".dockercfg",
    ".mozilla/firefox/x.default/logins.json",
    ".thunderbird/x.default/logins.json",
    ".config/google-chrome/Default/Cookies",
    ".config/chromium/Default/Cookies",
    ".config/BraveSoftware/Brave-Browser/Default/Cookies",
    ".config/microsoft-edge/Default/Cookies",
    ".bash_history",
    ".zsh_history",
    ".local/share/fish/fish_history",
    ".python_history",
    ".psql_history",
    ".mysql_history",
    ".node_repl_history",
    ".claude/.credentials.json",
    ".claude.json",
    ".codex/auth.json",
    ".gemini/oauth_creds.json",
    ".local/share/opencode/auth.json",
    ".config/github-copilot/hosts.json",
    ".huggingface/token",
    ".cache/huggingface/token",
    ".kaggle/kaggle.json",
    ".databrickscfg",
    ".config/sops/age/keys.txt",
    ".Xauthority",
    ".ICEauthority",
    ".subversion/auth/svn.simple/x",
    ".config/solana/id.json",
    ".bitcoin/wallet.dat",
    ".ethereum/keystore/key",
    ".config/heroku/credentials.json",
    ".msmtprc",
    ".config/Bitwarden/data.json",
    ".config/1Password/settings",
    ".config/filezilla/sitemanager.xml",
    ".putty/sessions/x",
    ".config/remmina/x.remmina",
    ".config/wandb/settings",
    ".minikube/client.key",
    ".config/helm/repositories.yaml",
    ".tsh/keys/x",
    ".circleci/cli.yml",
    ".travis/config.yml",
    ".sentryclirc",
    ".smbcredentials",
    ".davfs2/secrets",
    ".jfrog/jfrog-cli.conf.v6",
    ".influxdbv2/configs",
    ".expo/state.json",
    ".dbt/profiles.yml",
    ".config/cachix/cachix.dhall",
    ".config/nix/nix.conf",
    ".cdsapirc",
    ".config/earthengine/credentials",
    ".android/adbkey",
    ".streamlit/secrets.toml",
    ".step/secrets/key",
    ".minisign/minisign.key",
    ".config/borg/keys/x",
    ".vultr-cli.yaml",
    ".Renviron",
    ".pulumi/credentials.json",
    ".config/glab-cli/config.yml",
    ".config/ngrok/ngrok.yml",
    ".config/argocd/config",
    ".config/openstack/clouds.yaml",
    ".local/share/uv/credentials/x",
    ".config/pypoetry/auth.toml",
    ".viminfo",
    ".lesshst",
];

#[test]
fn a_permissive_sandbox_shows_the_home_folder_without_its_credential_stores() {
    const WORD: &str = "SECRET-WORD";
    let home = Home::new();
    for store in STORES {
        write_for_everyone(&home.user_home().join(store), WORD);
    }
    write_for_everyone(&home.user_home().join("visible"), "plain");
    let folder = home.user_home();
    let script = format!(
        "cat {0}/visible; echo; grep -rl {WORD} {0} 2>/dev/null; true",
        folder.display()
    );
    let outcome = home
        .run(&["--profile", "permissive"], &["sh", "-c", &script])
        .success();
    let text = outcome.text();
    let (visible, found) = text.split_once('\n').expect("a line for the visible file");
    assert_eq!(visible, "plain", "the profile shows the home folder");
    let prefix = format!("{}/", folder.display());
    let shown: Vec<&str> = found
        .lines()
        .map(|line| line.trim_start_matches(&prefix))
        .collect();
    assert!(shown.is_empty(), "readable in the sandbox: {shown:#?}");
    for store in STORES {
        let content = fs::read_to_string(folder.join(store)).expect("it is still there");
        assert_eq!(content, WORD, "{store} was changed on the host");
    }
}
