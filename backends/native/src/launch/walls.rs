//! The last part of the child of `clone3`: everything is given up. Only system calls on memory that the plan holds.

use std::{ffi::CStr, os::fd::AsRawFd};

use agentkernel_protocol::descriptor;
use rustix::{
    fs::{Mode, OFlags, open},
    io::Errno,
};

use super::{
    child::{AGENT, Inheritance, STAGED_AGENT, become_one, place},
    landlock,
    plan::Plan,
    sys::{self, SysResult},
};

/// Gives up everything that was needed to build the root.
pub(super) fn raise(plan: &Plan, inheritance: &Inheritance) -> SysResult<()> {
    // Before the parent-death signal, which a change of user would clear.
    let identity = &plan.identity;
    if (identity.uid, identity.gid) != (identity.builder_uid, identity.builder_gid) {
        become_one(identity.uid, identity.gid)?;
    }
    sys_hostname(&plan.hostname)?;
    if plan.private_network && plan.link.is_none() {
        sys::bring_up_loopback()?;
    }
    // A session of its own, without a terminal: TIOCSTI reaches nothing.
    rustix::process::setsid()?;
    // Kernels without keyrings have nothing to inherit.
    let _ = sys::join_new_session_keyring();
    for limit in &plan.limits {
        sys::set_resource_limit(limit.resource, limit.limit)?;
    }
    if plan.dies_with_thread {
        sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0, 0)?;
    }
    take_descriptors(plan, inheritance)?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    drop_capabilities()?;
    let logs = inheritance.logs.map(|_| descriptor::LOGS);
    landlock::restrict(&plan.landlock, logs, plan.agent.map(|_| AGENT))?;
    sys::install_seccomp(&plan.seccomp)
}

fn sys_hostname(name: &CStr) -> SysResult<()> {
    rustix::system::sethostname(name.to_bytes())
}

/// 0, 1 and 2 are nothing, 3 to 5 as the protocol says, 6 the agent until it runs. Everything else is closed.
fn take_descriptors(plan: &Plan, inheritance: &Inheritance) -> SysResult<()> {
    let null = open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    for standard in 0..3 {
        place(null.as_raw_fd(), standard)?;
    }
    place(inheritance.owner, descriptor::OWNER)?;
    place(
        inheritance.listener.unwrap_or(null.as_raw_fd()),
        descriptor::LISTENER,
    )?;
    place(inheritance.logs.unwrap_or(null.as_raw_fd()), descriptor::LOGS)?;
    match (plan.agent, inheritance.agent) {
        (Some(_), _) => place(STAGED_AGENT, AGENT)?,
        (None, Some(sealed)) => place(sealed, AGENT)?,
        (None, None) => return Err(Errno::BADF),
    }
    // What is not closed by now, the failure line and the agent included, goes with the exec.
    sys::close_on_exec_from(AGENT as u32)
}

/// All five sets empty, and no way to get one back: not by being root, not by a file.
fn drop_capabilities() -> SysResult<()> {
    const SECURE_BITS: u64 = 0b1110_1111; // NOROOT, NO_SETUID_FIXUP, KEEP_CAPS off, NO_CAP_AMBIENT_RAISE, all locked
    const AMBIENT_CLEAR_ALL: u64 = 4;
    for capability in 0..64 {
        match sys::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0) {
            Ok(()) => {}
            // Beyond the last capability of this kernel.
            Err(Errno::INVAL) => break,
            Err(error) => return Err(error),
        }
    }
    sys::prctl(libc::PR_SET_SECUREBITS, SECURE_BITS, 0, 0)?;
    sys::prctl(libc::PR_CAP_AMBIENT, AMBIENT_CLEAR_ALL, 0, 0)?;
    sys::clear_capabilities()?;
    sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0)
}
