//! `agentkernel logs`: the kept output of a detached command, byte by byte.

use agentkernel_control::LogStream;

use super::streaming;
use crate::{args::LogsArgs, failure::Outcome};

pub async fn logs(args: LogsArgs) -> Outcome {
    let stream = if args.stderr {
        LogStream::Stderr
    } else {
        LogStream::Stdout
    };
    let bytes = super::control()?
        .logs(&args.name, args.id.as_ref(), stream, args.follow)
        .await?;
    streaming::to_stdout(bytes).await?;
    Ok(0)
}
