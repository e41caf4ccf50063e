//! A self-check that runs inside a sandbox: every documented wall is touched once, and one JSON line says what came of it.
//!
//! Each check is an ordinary system call or file access with harmless arguments, made in a process of its own, so that
//! none changes what the next one sees. It uses nothing but libc and the standard library: it runs in any root.

#![expect(clippy::print_stdout, reason = "the report is what this program is for")]

mod attempt;
mod capabilities;
mod devices;
mod facts;
mod filesystem;
mod hidden;
mod host_files;
mod kernel_files;
mod leaks;
mod mounts;
mod namespaces;
mod network;
mod process;
mod readonly;
mod report;
mod resources;
mod signals;
mod syscalls;
mod terminals;

use facts::Facts;
use report::Check;

fn main() {
    let facts = match Facts::gather(std::env::args().skip(1)) {
        Ok(facts) => facts,
        Err(problem) => {
            println!("{problem}");
            std::process::exit(2);
        }
    };
    // Inside nobody is root. Outside, on a host, root would succeed where a check expects a wall.
    // SAFETY: asks for a number.
    if unsafe { libc::getuid() } == 0 {
        println!("this self-check belongs into a sandbox: root never runs it");
        std::process::exit(2);
    }
    // The last one fills the sandbox with processes.
    let collections: [fn(&Facts) -> Vec<Check>; 17] = [
        leaks::checks,
        host_files::checks,
        hidden::checks,
        network::checks,
        devices::checks,
        filesystem::checks,
        readonly::checks,
        kernel_files::checks,
        network::socket_checks,
        capabilities::checks,
        capabilities::identity_checks,
        syscalls::checks,
        namespaces::checks,
        mounts::checks,
        terminals::checks,
        signals::checks,
        resources::checks,
    ];
    for collect in collections {
        for check in collect(&facts) {
            let outcome = process::run(&check, &facts);
            println!("{}", report::line(&check, &outcome));
        }
    }
}
