//! One file a command: arguments to a request, the request to `Control`, the answer to `render`.

mod attach;
mod completions;
mod config;
mod control;
mod cp;
mod create;
mod doctor;
mod exec;
mod exec_kill;
mod exec_list;
mod gc;
mod inspect;
mod list;
mod logs;
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

use crate::{
    args::{TopCommand, Verb},
    failure::{Failure, Outcome},
};

use control::control;

pub fn dispatch(command: TopCommand) -> Outcome {
    match command {
        TopCommand::Verb(verb) | TopCommand::Sandbox(verb) => block_on(sandbox(verb)),
        TopCommand::Doctor(args) => block_on(doctor::doctor(args)),
        TopCommand::Setup(args) => block_on(setup::setup(args)),
        // Without a runtime: there is nothing to wait for.
        TopCommand::Config(args) => config::config(args),
        TopCommand::Completions(args) => completions::completions(args),
        TopCommand::Version(args) => version::version(args),
    }
}

async fn sandbox(verb: Verb) -> Outcome {
    match verb {
        Verb::Run(args) => run::run(args).await,
        Verb::Create(args) => create::create(args).await,
        Verb::Start(args) => start::start(args).await,
        Verb::Stop(args) => stop::stop(args).await,
        Verb::Restart(args) => restart::restart(args).await,
        Verb::Exec(args) => exec::exec(args).await,
        Verb::Attach(args) => attach::attach(args).await,
        Verb::List(args) => list::list(args).await,
        Verb::Inspect(args) => inspect::inspect(args).await,
        Verb::Logs(args) => logs::logs(args).await,
        Verb::ExecList(args) => exec_list::exec_list(args).await,
        Verb::ExecKill(args) => exec_kill::exec_kill(args).await,
        Verb::Cp(args) => cp::cp(args).await,
        Verb::Remove(args) => remove::remove(args).await,
        Verb::Stats(args) => stats::stats(args).await,
        Verb::Gc(args) => gc::gc(args).await,
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
