//! Classifies what can go wrong below HTTP: names, connections, TLS.

use std::{error::Error as StdError, fmt, io};

use rustls::CertificateError;

use super::{Again, Failure, Reason};

/// A host name that could not be resolved. Our resolver puts it into the chain, so that nobody has to read texts.
#[derive(Debug)]
struct ResolveFailed(io::Error);

impl fmt::Display for ResolveFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot resolve the name: {}", self.0)
    }
}

impl StdError for ResolveFailed {}

pub(crate) fn resolve_failed(error: io::Error) -> Box<dyn StdError + Send + Sync> {
    Box::new(ResolveFailed(error))
}

/// An error and its causes, from the outside in.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| {
        let error: &'a (dyn StdError + 'static) = *error;
        // An I/O error that wraps another one passes over it in `source()`.
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
    .take(32)
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// A request to `host` that got no answer, or whose answer broke off.
pub(crate) fn from_request(host: &str, error: reqwest::Error) -> Failure {
    // Addresses of redirects carry signatures.
    let error = error.without_url();
    classify(host, &error).because(error)
}

fn classify(host: &str, error: &reqwest::Error) -> Failure {
    if find::<ResolveFailed>(error).is_some() {
        return Failure::new(Reason::Dns, format!("cannot resolve the registry {host}"))
            .again(Again::IfReached)
            .hint(through_proxy("check the name and the network"));
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return from_tls(host, tls);
    }
    if chain(error).any(|cause| cause.to_string().starts_with("tunnel error")) {
        return Failure::new(Reason::Refused, format!("the proxy does not connect to {host}"))
            .again(Again::IfReached)
            .hint("check HTTPS_PROXY and its user name and password, or name the registry in NO_PROXY");
    }
    let connecting = error.is_connect();
    if error.is_timeout() {
        return timed_out(host, !error.is_body());
    }
    // The innermost one: those around it say only "other".
    let io = chain(error)
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .last();
    match io {
        Some(io) if connecting => from_connect(host, io),
        _ if error.is_redirect() => Failure::new(
            Reason::Protocol,
            format!("the registry {host} sends elsewhere, without end or without encryption"),
        ),
        _ => Failure::new(Reason::Protocol, format!("the connection to {host} broke")).again(Again::Soon),
    }
}

pub(crate) fn timed_out(host: &str, connecting: bool) -> Failure {
    let what = if connecting {
        "does not answer"
    } else {
        "stopped sending"
    };
    Failure::new(Reason::Timeout, format!("the registry {host} {what}"))
        .again(Again::IfReached)
        .hint(through_proxy("check the network"))
}

fn from_connect(host: &str, error: &io::Error) -> Failure {
    use io::ErrorKind as Kind;
    let (reason, why) = match error.kind() {
        Kind::ConnectionRefused => (Reason::Refused, "nobody listens there"),
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::AddrNotAvailable => {
            (Reason::Refused, "there is no way to it")
        }
        Kind::PermissionDenied => (Reason::Refused, "the operating system forbids it"),
        Kind::TimedOut => (Reason::Timeout, "it does not answer"),
        // A listener that hangs up on our TLS greeting often expects plain HTTP.
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::UnexpectedEof => {
            (Reason::Tls, "it hung up during the greeting")
        }
        _ => (Reason::Refused, "the connection failed"),
    };
    let failure = Failure::new(reason, format!("cannot connect to the registry {host}: {why}"));
    match reason {
        Reason::Tls => failure.again(Again::IfReached).hint(insecure_hint(host)),
        _ => failure
            .again(Again::IfReached)
            .hint(through_proxy("check the name, the port and the network")),
    }
}

fn from_tls(host: &str, error: &rustls::Error) -> Failure {
    use rustls::Error as Tls;
    let (why, hint) = match error {
        Tls::InvalidCertificate(why) => from_certificate(host, why),
        Tls::InvalidMessage(_) => ("it does not speak TLS".to_owned(), insecure_hint(host)),
        _ => (
            "no common version or cipher of TLS".to_owned(),
            insecure_hint(host),
        ),
    };
    Failure::new(
        Reason::Tls,
        format!("no secure connection to the registry {host}: {why}"),
    )
    .hint(hint)
}

fn from_certificate(host: &str, error: &CertificateError) -> (String, String) {
    use CertificateError as Why;
    match error {
        Why::UnknownIssuer => (
            "nobody we trust has signed its certificate".to_owned(),
            format!(
                "set ca = \"/path/to/ca.pem\" in [registries.\"{host}\"], or install it (or ca-certificates) on this machine"
            ),
        ),
        Why::Expired | Why::ExpiredContext { .. } => (
            "its certificate has expired".to_owned(),
            "check the clock of this machine, and tell who runs the registry".to_owned(),
        ),
        Why::NotValidYet | Why::NotValidYetContext { .. } => (
            "its certificate is not valid yet".to_owned(),
            "check the clock of this machine".to_owned(),
        ),
        Why::NotValidForName | Why::NotValidForNameContext { .. } => (
            "its certificate is for another name".to_owned(),
            "use the name that the certificate has".to_owned(),
        ),
        Why::Revoked => (
            "its certificate was revoked".to_owned(),
            "tell who runs the registry".to_owned(),
        ),
        other => (
            format!(
                "its certificate is not acceptable ({})",
                super::printable(&format!("{other:?}"))
            ),
            "tell who runs the registry".to_owned(),
        ),
    }
}

fn insecure_hint(host: &str) -> String {
    format!("if it is meant to be plain HTTP, set insecure = true in [registries.\"{host}\"]")
}

fn through_proxy(hint: &str) -> String {
    const VARIABLES: [&str; 6] = [
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ];
    match VARIABLES
        .iter()
        .find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
    {
        Some(name) => format!("{hint}, and the proxy that {name} names"),
        None => hint.to_owned(),
    }
}

/// Writing or reading a file of the store.
pub(crate) fn from_io(what: &str, error: io::Error) -> Failure {
    use io::ErrorKind as Kind;
    let full = matches!(error.kind(), Kind::StorageFull | Kind::QuotaExceeded);
    let failure = Failure::new(Reason::Storage, format!("cannot write {what}: {error}"));
    let failure = match full {
        true => failure.hint("make room: agentkernel image prune --all"),
        false => failure,
    };
    failure.because(error)
}
