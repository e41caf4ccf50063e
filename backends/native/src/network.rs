//! The gateway of a sandbox: in this process for an ephemeral one, in a process of its own for a kept one.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use agentkernel_backend::{Context, Error, Result};
use agentkernel_egress::{
    Addresses,
    gateway::{Gateway, Journal, Setup, process},
    tun::{self, Attachment},
};
use agentkernel_types::{ErrorKind, NetworkMode};

use crate::launch::Launched;

/// How long a gateway of its own may take to end after its sandbox.
const END: Duration = Duration::from_secs(5);

/// The link of a sandbox, as its first process makes it.
pub(crate) fn link() -> tun::Prepared {
    tun::prepare(&Addresses::default(), Attachment::of_this_host())
}

/// Where a kept sandbox's gateway is asked, and where it writes.
pub(crate) struct Places<'a> {
    pub program: &'a [std::ffi::OsString],
    pub socket: PathBuf,
    pub journal: PathBuf,
}

/// Makes the gateway of a sandbox that has just been launched. None: it is in a process of its own.
pub(crate) async fn start(
    cx: &Context,
    launched: &mut Launched,
    setup: Setup,
    places: Option<Places<'_>>,
) -> Result<Option<Arc<Gateway>>> {
    let Some(device) = launched.link.take() else {
        return Err(Error::new(
            ErrorKind::Broken,
            "start",
            "the sandbox has handed over no network device",
        ));
    };
    let Some(places) = places else {
        let gateway = Gateway::start(device, setup, Journal::in_memory()).await?;
        return Ok(Some(Arc::new(gateway)));
    };
    // Left by a gateway that has died: the sandbox of this one was not running a moment ago.
    let _ = std::fs::remove_file(&places.socket);
    let listener = crate::socket::listen(&places.socket).map_err(crate::start::io_failed)?;
    process::spawn(
        cx,
        process::Start {
            program: places.program,
            device,
            listener,
            first_process: &launched.pidfd,
            setup,
            journal: places.journal,
        },
    )
    .await?;
    Ok(None)
}

/// The facet of a kept sandbox, reached anew for each call.
pub(crate) fn reach(socket: &Path) -> Result<Gateway> {
    let stream = crate::socket::connect(socket).map_err(|error| {
        Error::new(
            ErrorKind::Broken,
            "network",
            "the gateway of the sandbox has ended, so the sandbox has no network",
        )
        .hint("stop and start the sandbox")
        .because(error)
    })?;
    Gateway::over(stream)
}

/// Waits until the process that carried a kept sandbox's network has ended, and with it its published ports.
pub(crate) async fn wait_for_end(connection: Option<std::os::unix::net::UnixStream>) {
    use tokio::io::AsyncReadExt;
    let Some(mut stream) = connection.and_then(|stream| crate::sandbox::tokio_stream(stream).ok()) else {
        return;
    };
    // It says nothing unasked: the end is all that comes.
    let _ = tokio::time::timeout(END, stream.read(&mut [0u8; 1])).await;
}

/// Why a sandbox has no network facet.
pub(crate) fn no_gateway(mode: NetworkMode) -> Error {
    let message = match mode {
        NetworkMode::Host => "the sandbox shares the host's network: no policy is applied to it",
        _ => "the sandbox was made without a network",
    };
    Error::new(ErrorKind::Conflict, "network", message)
        .hint("make a sandbox with --network allowlist, public or open")
}
