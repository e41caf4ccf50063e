//! One file a command: arguments to a request, the request to `Control`, the answer to `render`.

mod attach;
mod completions;
mod config;
mod cp;
mod create;
mod doctor;
mod exec;
mod exec_kill;
mod exec_list;
mod gc;
mod image;
mod inspect;
mod list;
mod logs;
mod policy;
mod port;
mod remove;
mod restart;
mod run;
mod session;
mod setup;
mod start;
mod stats;
mod stop;
mod streaming;
mod version;
mod why;

use std::sync::Arc;

use agentkernel_control::Control;

use crate::{
    args::{TopCommand, Verb},
    failure::{Failure, Outcome},
};

/// Who answers. Called at the first need: a command that asks nothing builds no engine.
pub type Connect = fn() -> agentkernel_control::Result<Arc<dyn Control>>;

pub fn dispatch(command: TopCommand, connect: Connect) -> Outcome {
    match command {
        TopCommand::Verb(verb) | TopCommand::Sandbox(verb) => block_on(sandbox(verb, connect)),
        TopCommand::Image(args) => block_on(image::image(args.command, connect)),
        TopCommand::Doctor(args) => block_on(doctor::doctor(args, connect)),
        TopCommand::Setup(args) => block_on(setup::setup(args, connect)),
        // Without a runtime: there is nothing to wait for.
        TopCommand::Config(args) => config::config(args),
        TopCommand::Completions(args) => completions::completions(args),
        TopCommand::Version(args) => version::version(args),
    }
}

async fn sandbox(verb: Verb, connect: Connect) -> Outcome {
    match verb {
        Verb::Run(args) => run::run(args, connect).await,
        Verb::Create(args) => create::create(args, connect).await,
        Verb::Start(args) => start::start(args, connect).await,
        Verb::Stop(args) => stop::stop(args, connect).await,
        Verb::Restart(args) => restart::restart(args, connect).await,
        Verb::Exec(args) => exec::exec(args, connect).await,
        Verb::Attach(args) => attach::attach(args, connect).await,
        Verb::List(args) => list::list(args, connect).await,
        Verb::Inspect(args) => inspect::inspect(args, connect).await,
        Verb::Logs(args) => logs::logs(args, connect).await,
        Verb::ExecList(args) => exec_list::exec_list(args, connect).await,
        Verb::ExecKill(args) => exec_kill::exec_kill(args, connect).await,
        Verb::Cp(args) => cp::cp(args, connect).await,
        Verb::Remove(args) => remove::remove(args, connect).await,
        Verb::Stats(args) => stats::stats(args, connect).await,
        Verb::Policy(args) => policy::policy(args, connect).await,
        Verb::Why(args) => why::why(args, connect).await,
        Verb::Port(args) => port::port(args, connect).await,
        Verb::Gc(args) => gc::gc(args, connect).await,
    }
}

/// One thread is enough: everything that takes long waits for the kernel.
fn block_on(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("start", "cannot start the runtime", error))?;
    let outcome = runtime.block_on(work);
    // A copy that was broken off may still sit in a read: its thread must not keep us.
    runtime.shutdown_background();
    outcome
}
