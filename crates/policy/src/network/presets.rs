//! Lists of hosts that belong together, as data: what a tool needs to do its work.
//!
//! Each has the source of the fact. A host is in a list because the tool does not work without it, never because
//! it may be useful: a preset that is too wide is a hole in many policies at once. Where a list holds hosts to
//! which anyone can upload, `caution` says so.

/// Raised with every change of a list, so that a log says which lists a decision was made with.
pub const PRESETS_VERSION: u32 = 1;

/// A named list of allowances.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Preset {
    pub name: &'static str,
    pub about: &'static str,
    /// Rules as a person would write them.
    pub rules: &'static [&'static str],
    /// Where it is written that these hosts are needed.
    pub source: &'static str,
    /// What a sandbox could do with it that its user may not expect.
    pub caution: Option<&'static str>,
}

const UPLOADS: Option<&str> = Some("anyone with an account can publish here, so data can leave this way");
const MODEL: Option<&str> = Some("what is sent to a model service leaves the machine");

const fn preset(
    name: &'static str,
    about: &'static str,
    rules: &'static [&'static str],
    source: &'static str,
    caution: Option<&'static str>,
) -> Preset {
    Preset {
        name,
        about,
        rules,
        source,
        caution,
    }
}

/// All presets, in the order of their names.
pub const PRESETS: &[Preset] = &[
    preset(
        "alpine",
        "packages of Alpine Linux",
        &["dl-cdn.alpinelinux.org:80,443"],
        "https://wiki.alpinelinux.org/wiki/Repositories",
        None,
    ),
    preset(
        "anthropic",
        "the API of Anthropic",
        &["api.anthropic.com:443"],
        "https://docs.anthropic.com/en/api/overview",
        MODEL,
    ),
    preset(
        "cohere",
        "the API of Cohere",
        &["api.cohere.com:443"],
        "https://docs.cohere.com/reference/about",
        MODEL,
    ),
    preset(
        "crates",
        "packages of Rust",
        &["crates.io:443", "index.crates.io:443", "static.crates.io:443"],
        "https://doc.rust-lang.org/cargo/reference/registries.html",
        UPLOADS,
    ),
    preset(
        "debian",
        "packages of Debian",
        &["deb.debian.org:80,443", "security.debian.org:80,443"],
        "https://www.debian.org/mirror/list",
        None,
    ),
    preset(
        "deepseek",
        "the API of DeepSeek",
        &["api.deepseek.com:443"],
        "https://api-docs.deepseek.com/",
        MODEL,
    ),
    preset(
        "docker",
        "images of Docker Hub",
        &[
            "auth.docker.io:443",
            "registry-1.docker.io:443",
            "production.cloudflare.docker.com:443",
            "production.cloudfront.docker.com:443",
            "docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com:443",
        ],
        "https://docs.docker.com/desktop/setup/allow-list/",
        UPLOADS,
    ),
    preset(
        "fedora",
        "packages of Fedora",
        &["mirrors.fedoraproject.org:80,443", "dl.fedoraproject.org:80,443"],
        "https://docs.fedoraproject.org/en-US/infra/sysadmin_guide/mirrormanager/",
        None,
    ),
    preset(
        "ghcr",
        "images of GitHub's registry",
        &["ghcr.io:443", "pkg-containers.githubusercontent.com:443"],
        "https://docs.github.com/en/packages/working-with-a-github-packages-registry/working-with-the-container-registry",
        UPLOADS,
    ),
    preset(
        "github",
        "GitHub: web, API, git over HTTPS and SSH, releases, raw files",
        &[
            "github.com:22,443",
            "api.github.com:443",
            "codeload.github.com:443",
            "uploads.github.com:443",
            "raw.githubusercontent.com:443",
            "objects.githubusercontent.com:443",
            "release-assets.githubusercontent.com:443",
            "github-cloud.githubusercontent.com:443",
            "media.githubusercontent.com:443",
        ],
        "https://docs.github.com/en/rest/meta/meta",
        UPLOADS,
    ),
    preset(
        "gitlab",
        "GitLab.com: web, API, git over HTTPS and SSH, packages and images",
        &["gitlab.com:22,443", "registry.gitlab.com:443"],
        "https://docs.gitlab.com/user/gitlab_com/",
        UPLOADS,
    ),
    preset(
        "go",
        "modules and toolchains of Go",
        &[
            "proxy.golang.org:443",
            "sum.golang.org:443",
            "go.dev:443",
            "dl.google.com:443",
        ],
        "https://go.dev/ref/mod#environment-variables",
        UPLOADS,
    ),
    preset(
        "google-ai",
        "the Gemini API of Google",
        &["generativelanguage.googleapis.com:443"],
        "https://ai.google.dev/api",
        MODEL,
    ),
    preset(
        "gradle",
        "distributions and plugins of Gradle",
        &[
            "services.gradle.org:443",
            "downloads.gradle.org:443",
            "plugins.gradle.org:443",
            "plugins-artifacts.gradle.org:443",
        ],
        "https://docs.gradle.org/current/userguide/gradle_wrapper.html",
        UPLOADS,
    ),
    preset(
        "groq",
        "the API of Groq",
        &["api.groq.com:443"],
        "https://console.groq.com/docs/api-reference",
        MODEL,
    ),
    preset(
        "hex",
        "packages of Elixir and Erlang",
        &["hex.pm:443", "repo.hex.pm:443", "builds.hex.pm:443"],
        "https://hex.pm/docs/mirrors",
        UPLOADS,
    ),
    preset(
        "huggingface",
        "models and data sets of Hugging Face",
        &["huggingface.co:443", "*.hf.co:443"],
        "https://huggingface.co/docs/hub/models-downloading",
        UPLOADS,
    ),
    preset(
        "maven",
        "packages of Maven Central",
        &["repo.maven.apache.org:443", "repo1.maven.org:443"],
        "https://maven.apache.org/repository/",
        UPLOADS,
    ),
    preset(
        "mistral",
        "the API of Mistral",
        &["api.mistral.ai:443"],
        "https://docs.mistral.ai/api/",
        MODEL,
    ),
    preset(
        "node",
        "distributions of Node.js",
        &["nodejs.org:443"],
        "https://nodejs.org/en/download",
        None,
    ),
    preset(
        "npm",
        "packages of npm",
        &["registry.npmjs.org:443"],
        "https://docs.npmjs.com/cli/v11/using-npm/registry",
        UPLOADS,
    ),
    preset(
        "nuget",
        "packages of .NET",
        &["api.nuget.org:443"],
        "https://learn.microsoft.com/nuget/api/overview",
        UPLOADS,
    ),
    preset(
        "openai",
        "the API of OpenAI",
        &["api.openai.com:443"],
        "https://platform.openai.com/docs/api-reference/introduction",
        MODEL,
    ),
    preset(
        "openrouter",
        "the API of OpenRouter",
        &["openrouter.ai:443"],
        "https://openrouter.ai/docs/quickstart",
        MODEL,
    ),
    preset(
        "packagist",
        "packages of PHP",
        &["packagist.org:443", "repo.packagist.org:443"],
        "https://packagist.org/apidoc",
        UPLOADS,
    ),
    preset(
        "pypi",
        "packages of Python",
        &["pypi.org:443", "files.pythonhosted.org:443"],
        "https://docs.pypi.org/api/",
        UPLOADS,
    ),
    preset(
        "rubygems",
        "packages of Ruby",
        &["rubygems.org:443", "index.rubygems.org:443"],
        "https://guides.rubygems.org/rubygems-org-compact-index-api/",
        UPLOADS,
    ),
    preset(
        "rustup",
        "toolchains of Rust",
        &["static.rust-lang.org:443"],
        "https://rust-lang.github.io/rustup/environment-variables.html",
        None,
    ),
    preset(
        "ubuntu",
        "packages of Ubuntu",
        &[
            "archive.ubuntu.com:80,443",
            "security.ubuntu.com:80,443",
            "ports.ubuntu.com:80,443",
        ],
        "https://documentation.ubuntu.com/server/how-to/software/package-management/",
        None,
    ),
    preset(
        "xai",
        "the API of xAI",
        &["api.x.ai:443"],
        "https://docs.x.ai/docs/api-reference",
        MODEL,
    ),
    preset(
        "yarn",
        "packages of Yarn",
        &["registry.yarnpkg.com:443", "repo.yarnpkg.com:443"],
        "https://yarnpkg.com/configuration/yarnrc",
        UPLOADS,
    ),
];

/// The preset with this name.
pub fn find_preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}
