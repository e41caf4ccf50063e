//! `policy`, `why` and `port`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use agentkernel_types::{
    NetworkMode, NetworkRule, ParseError, Protocol, PublishedPort, SandboxName, TimeSpan,
};
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};

#[derive(Args, Debug)]
pub struct PolicyArgs {
    #[command(subcommand)]
    pub command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Show the policy in force
    Show(PolicyShowArgs),
    /// Allow destinations, at once and from now on
    Allow(PolicyRulesArgs),
    /// Deny destinations, whatever is allowed; connections to them are cut
    Deny(PolicyRulesArgs),
    /// Replace all rules
    Set(PolicySetArgs),
}

#[derive(Args, Debug)]
pub struct PolicyShowArgs {
    /// The sandbox
    pub name: SandboxName,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct PolicyRulesArgs {
    /// The sandbox
    pub name: SandboxName,
    /// Destinations, as in pypi.org:443, *.example.org, 10.1.0.0/16, preset:npm or host:11434
    #[arg(required = true, value_name = "RULE")]
    pub rules: Vec<NetworkRule>,
    /// The rules end by themselves after this long, as in 10m
    #[arg(long = "for", value_name = "TIME")]
    pub span: Option<TimeSpan>,
    /// Print the policy as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct PolicySetArgs {
    /// The sandbox
    pub name: SandboxName,
    /// The mode [default: as it is]
    #[arg(long, value_parser = modes())]
    pub mode: Option<NetworkMode>,
    /// Allow one destination
    #[arg(long, value_name = "RULE")]
    pub allow: Vec<NetworkRule>,
    /// Deny one destination, whatever is allowed
    #[arg(long, value_name = "RULE")]
    pub deny: Vec<NetworkRule>,
    /// Print the policy as JSON
    #[arg(long)]
    pub json: bool,
}

fn modes() -> impl TypedValueParser<Value = NetworkMode> {
    PossibleValuesParser::new(NetworkMode::ALL.map(NetworkMode::as_str))
        .try_map(|name| name.parse::<NetworkMode>())
}

#[derive(Args, Debug)]
pub struct WhyArgs {
    /// The sandbox
    pub name: SandboxName,
    /// How many refusals, the latest last
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    pub last: usize,
    /// Also what was allowed: connections with their bytes, policies and ports
    #[arg(long)]
    pub all: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct PortArgs {
    #[command(subcommand)]
    pub command: PortCommand,
}

#[derive(Debug, Subcommand)]
pub enum PortCommand {
    /// Open a port of this machine that leads into the sandbox
    Publish(PortPublishArgs),
    /// List the open ports
    #[command(visible_alias = "ls")]
    List(PortListArgs),
    /// Close a port; its connections are cut
    Unpublish(PortUnpublishArgs),
}

#[derive(Args, Debug)]
pub struct PortPublishArgs {
    /// The sandbox
    pub name: SandboxName,
    /// The port; on the loopback unless an address is given, and any free one where HOST is 0
    #[arg(value_name = "[IP:]HOST:SANDBOX[/udp]")]
    pub port: PublishedPort,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct PortListArgs {
    /// The sandbox
    pub name: SandboxName,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct PortUnpublishArgs {
    /// The sandbox
    pub name: SandboxName,
    /// The port of this machine
    #[arg(value_name = "[IP:]HOST[/udp]", value_parser = host_end)]
    pub port: (SocketAddr, Protocol),
}

impl PolicyCommand {
    pub fn wants_json(&self) -> bool {
        match self {
            Self::Show(args) => args.json,
            Self::Allow(args) | Self::Deny(args) => args.json,
            Self::Set(args) => args.json,
        }
    }
}

impl PortCommand {
    pub fn wants_json(&self) -> bool {
        match self {
            Self::Publish(args) => args.json,
            Self::List(args) => args.json,
            Self::Unpublish(_) => false,
        }
    }
}

fn host_end(text: &str) -> Result<(SocketAddr, Protocol), ParseError> {
    let (address, protocol) = match text.rsplit_once('/') {
        None => (text, Protocol::Tcp),
        Some((address, "tcp")) => (address, Protocol::Tcp),
        Some((address, "udp")) => (address, Protocol::Udp),
        Some((_, other)) => return Err(ParseError::new(format!("{other:?} is neither tcp nor udp"))),
    };
    let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let host = match address.parse::<u16>() {
        Ok(port) => Some(loopback(port)),
        Err(_) => address.parse().ok(),
    };
    match host.filter(|host| host.port() != 0) {
        Some(host) => Ok((host, protocol)),
        None => Err(ParseError::new(format!(
            "invalid port {text:?}: write [IP:]HOST[/udp], as in 8080 or 0.0.0.0:8080"
        ))),
    }
}
