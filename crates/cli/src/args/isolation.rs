//! What a sandbox is made of: the flags that `run` and `create` share.

use std::path::PathBuf;

use agentkernel_types::{
    BackendName, ByteSize, Cpus, GuestPath, ImageRef, Isolation, Mount, NameServer, NetworkMode, NetworkRule,
    Profile, PublishedPort, TimeSpan, UserSpec,
};
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};

#[derive(Args, Debug, Default)]
pub struct IsolationArgs {
    /// The image: `host` for this machine's own programs, or a reference such as python:3.12-alpine
    #[arg(short, long)]
    pub image: Option<ImageRef>,
    /// The security profile
    #[arg(long, value_parser = profiles())]
    pub profile: Option<Profile>,
    /// The backend that makes the sandbox
    #[arg(short = 'B', long)]
    pub backend: Option<BackendName>,
    /// The weakest isolation that will do; nothing weaker is ever used
    #[arg(long, value_name = "GRADE", value_parser = grades())]
    pub isolation: Option<Isolation>,
    /// What may be reached: none, allowlist (what is allowed by name), public (no private ranges), open, or host
    /// (this machine's own network, without any policy)
    #[arg(long, value_name = "MODE", value_parser = network_modes())]
    pub network: Option<NetworkMode>,
    /// Allow one destination, as in pypi.org:443, *.example.org, 10.1.0.0/16, preset:npm or host:11434; without
    /// --network the mode is then allowlist
    #[arg(long, value_name = "RULE")]
    pub allow: Vec<NetworkRule>,
    /// Deny one destination, whatever is allowed
    #[arg(long, value_name = "RULE")]
    pub deny: Vec<NetworkRule>,
    /// Let a port of this machine lead into the sandbox, as in 8080:80, 53:5353/udp, or 80 for any free one; on the
    /// loopback unless an address is given, as in 0.0.0.0:8080:80
    #[arg(short = 'p', long = "publish", value_name = "PORT")]
    pub ports: Vec<PublishedPort>,
    /// Ask this name server, as in 192.0.2.1 or [2001:db8::1]:5353, instead of this machine's
    #[arg(long, value_name = "IP[:PORT]")]
    pub dns: Vec<NameServer>,
    /// No network but loopback, as --network none
    #[arg(long, conflicts_with_all = ["network", "allow", "ports", "dns"])]
    pub no_network: bool,
    /// A root that cannot be written, with a private /tmp
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub read_only: Option<bool>,
    /// Mount a file or folder of this machine
    #[arg(short = 'v', long = "mount", visible_alias = "volume", value_name = "SRC:DST[:ro]",
          value_parser = Mount::parse)]
    pub mounts: Vec<Mount>,
    /// Mount the project folder, writable, at the same path
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub mount_cwd: Option<bool>,
    /// Mount the home folder, read-only and without credential stores
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub mount_home: Option<bool>,
    /// Show one credential store of the mounted home, such as .ssh
    #[arg(long = "with-credential", value_name = "NAME")]
    pub credentials: Vec<String>,
    /// Pass this environment on, without credentials
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub pass_env: Option<bool>,
    /// The working directory in the sandbox
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<GuestPath>,
    /// The user in the sandbox
    #[arg(short, long, value_name = "NAME|UID[:GROUP]")]
    pub user: Option<UserSpec>,
    /// The most memory, as in 512m
    #[arg(short, long, value_name = "SIZE")]
    pub memory: Option<ByteSize>,
    /// The most processor time, as in 1.5 (-C, since -c is the configuration file)
    #[arg(short = 'C', long, value_name = "NUMBER")]
    pub cpus: Option<Cpus>,
    /// The most processes and threads
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub pids: Option<u32>,
    /// The most that may be written outside of mounts
    #[arg(long, value_name = "SIZE")]
    pub disk: Option<ByteSize>,
    /// End the command after this long, as in 30s; the exit code is then 124
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<TimeSpan>,
    /// The project's configuration file [default: the nearest agentkernel.toml]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The agent that the sandbox is meant for
    #[arg(short, long)]
    pub agent: Option<String>,
}

fn profiles() -> impl TypedValueParser<Value = Profile> {
    PossibleValuesParser::new(Profile::ALL.map(Profile::as_str)).try_map(|name| name.parse::<Profile>())
}

fn grades() -> impl TypedValueParser<Value = Isolation> {
    PossibleValuesParser::new(Isolation::ALL.map(Isolation::as_str)).try_map(|name| name.parse::<Isolation>())
}

fn network_modes() -> impl TypedValueParser<Value = NetworkMode> {
    PossibleValuesParser::new(NetworkMode::ALL.map(NetworkMode::as_str))
        .try_map(|name| name.parse::<NetworkMode>())
}
