//! A command of the contract as a request of the protocol.

use std::os::unix::ffi::OsStrExt;

use agentkernel_backend::{Context, Output, Process, Result};
use agentkernel_protocol::{ExecRequest, ToGuest};
use agentkernel_types::{ExecSpec, Exit, StdinMode};

use crate::{
    AgentConnection,
    connection::unexpected,
    stream::{Answer, Opening},
};

pub async fn exec(connection: &AgentConnection, cx: &Context, spec: ExecSpec) -> Result<Process> {
    let (process, output, input) = Process::channel();
    let detached = spec.detach.is_some();
    let message = ToGuest::Exec(request(spec));
    let opening = if detached {
        Opening::Detached
    } else {
        Opening::Command {
            output: output.clone(),
            input,
        }
    };
    match connection.request(cx, "exec", message, opening).await? {
        Answer::Started if detached => {
            // It runs on its own; of this handle there is nothing more to say.
            let _ = output.try_send(Ok(Output::Exit(Exit::SUCCESS)));
            Ok(process)
        }
        Answer::Started => Ok(process),
        _ => Err(unexpected("exec")),
    }
}

fn request(spec: ExecSpec) -> ExecRequest {
    let argv = spec
        .command
        .argv()
        .iter()
        .map(|argument| argument.as_bytes().to_vec().into());
    let env = spec.env.iter().map(|variable| {
        format!("{}={}", variable.name(), variable.value())
            .into_bytes()
            .into()
    });
    ExecRequest {
        argv: argv.collect(),
        env: env.collect(),
        workdir: spec
            .workdir
            .map(|path| path.as_str().as_bytes().to_vec())
            .unwrap_or_default()
            .into(),
        terminal: spec.terminal.map(|size| (size.rows, size.columns)),
        piped_stdin: spec.stdin == StdinMode::Piped,
        detach: spec.detach.map(String::from),
    }
}
