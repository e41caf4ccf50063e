//! `agentkernel cp`: files and folders into a sandbox and out of it, as a tar stream on the way.

mod inward;
mod outward;
mod pipe;

use agentkernel_types::{ErrorKind, GuestPath, SandboxName};

use super::{Connect, streaming};
use crate::{
    args::{CopyArgs, CopyEnd},
    failure::{Failure, Outcome},
    streams::Stdio,
};

/// The sandbox's end of a copy.
#[derive(Debug)]
struct Inside {
    name: SandboxName,
    path: GuestPath,
    content: bool,
    folder: bool,
}

pub async fn cp(args: CopyArgs, connect: Connect) -> Outcome {
    let source = CopyEnd::parse(&args.source)?;
    let destination = CopyEnd::parse(&args.destination)?;
    match (source, destination) {
        (
            CopyEnd::Sandbox {
                name,
                path,
                content,
                folder,
            },
            CopyEnd::Host(to),
        ) => {
            outward::to_host(
                &Inside {
                    name,
                    path,
                    content,
                    folder,
                },
                &to,
                connect,
            )
            .await?;
        }
        (CopyEnd::Sandbox { name, path, .. }, CopyEnd::Stream) => {
            let archive = connect()?.copy_out(&name, &path).await?;
            streaming::copy(archive, Stdio::inherited().stdout).await?;
        }
        (
            CopyEnd::Host(from),
            CopyEnd::Sandbox {
                name,
                path,
                content,
                folder,
            },
        ) => {
            inward::from_host(
                &from,
                &Inside {
                    name,
                    path,
                    content,
                    folder,
                },
                connect,
            )
            .await?;
        }
        (CopyEnd::Stream, CopyEnd::Sandbox { name, path, .. }) => {
            connect()?.copy_in(&name, &path, streaming::from_stdin()?).await?;
        }
        (CopyEnd::Sandbox { .. }, CopyEnd::Sandbox { .. }) => {
            return Err(wrong("cp does not copy from one sandbox to another")
                .hint("use a pipe: agentkernel cp A:/path - | agentkernel cp - B:/folder")
                .into());
        }
        (CopyEnd::Host(_) | CopyEnd::Stream, CopyEnd::Host(_) | CopyEnd::Stream) => {
            return Err(wrong("neither end of the copy is in a sandbox")
                .hint("write one end as NAME:/PATH")
                .into());
        }
    }
    Ok(0)
}

fn wrong(message: &str) -> agentkernel_control::Error {
    agentkernel_control::Error::new(ErrorKind::InvalidSpec, "cp", message)
}

/// The thread that packs or unpacks has ended; what it said is the answer, unless it panicked.
fn joined<T>(result: Result<T, tokio::task::JoinError>) -> Result<T, Failure> {
    result.map_err(|error| Failure::io("cp", "the copy was broken off", error.into()))
}
