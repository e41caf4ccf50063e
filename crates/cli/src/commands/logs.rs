//! `agentkernel logs`: the kept output of a detached command, byte by byte.

use agentkernel_control::{Control, LogStream};

use super::{Connect, streaming};
use crate::{
    args::LogsArgs,
    failure::{Failure, Outcome},
    streams::Stdio,
};

pub async fn logs(args: LogsArgs, connect: Connect) -> Outcome {
    let control = connect()?;
    let stdio = Stdio::inherited();
    if args.stderr {
        copy(&*control, &args, LogStream::Stderr, stdio.stdout).await?;
    } else {
        // Both at once: with --follow, neither may wait for the end of the other.
        tokio::try_join!(
            copy(&*control, &args, LogStream::Stdout, stdio.stdout),
            copy(&*control, &args, LogStream::Stderr, stdio.stderr),
        )?;
    }
    Ok(0)
}

async fn copy(
    control: &dyn Control,
    args: &LogsArgs,
    stream: LogStream,
    to: std::os::fd::BorrowedFd<'_>,
) -> Result<(), Failure> {
    let bytes = control
        .logs(&args.name, args.id.as_ref(), stream, args.follow)
        .await?;
    streaming::copy(bytes, to).await
}
