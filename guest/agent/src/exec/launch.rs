//! Starts a program: a child that shares this process's memory until it executes.
//!
//! Nothing is copied, and the child leaves its error in our memory. It must not allocate, lock or return.

use std::{cell::Cell, ffi::c_void};

use rustix::io::Errno;

use super::plan::Plan;
use crate::start::last_error;

const STACK: usize = 64 << 10;

/// What all launches share. Empty until the first.
#[derive(Default)]
pub struct Launcher {
    /// The child's stack: only one is ever between its birth and its program.
    stack: Vec<u128>,
    dispositions_are_default: bool,
}

/// How far the child came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    Setup,
    Workdir,
    /// No candidate exists.
    Lookup,
    /// One exists, and cannot be executed.
    Execute,
}

#[derive(Clone, Copy, Debug)]
pub struct LaunchError {
    pub stage: Stage,
    pub errno: Errno,
}

struct Child<'a> {
    plan: &'a Plan,
    /// What becomes 0, 1 and 2.
    stdio: [i32; 3],
    /// In a session that exists: its own group, in the foreground of the terminal on its stdin.
    foreground: bool,
    /// What the process executes was not reached.
    error: Cell<Option<LaunchError>>,
}

impl Launcher {
    /// Returns when the program runs. `stdio` must not be 0, 1 or 2, but for the own place of each.
    pub fn launch(&mut self, plan: &Plan, stdio: [i32; 3], foreground: bool) -> Result<i32, LaunchError> {
        self.prepare();
        let child = Child {
            plan,
            stdio,
            foreground,
            error: Cell::new(None),
        };
        let top = self.stack.as_mut_ptr_range().end;
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        // SAFETY: the stack is ours alone and grows down from `top`; CLONE_VFORK keeps this process from running
        // until the child has executed or ended, so `child` outlives its use and nothing is shared at a time.
        // Every signal is blocked, so no handler runs in the child.
        let pid = unsafe { libc::clone(enter, top.cast(), flags, (&raw const child).cast_mut().cast()) };
        if pid < 0 {
            return Err(LaunchError {
                stage: Stage::Setup,
                errno: last_error(),
            });
        }
        match child.error.get() {
            None => Ok(pid),
            Some(error) => {
                // SAFETY: our own child, which has ended.
                unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL) };
                Err(error)
            }
        }
    }

    fn prepare(&mut self) {
        if self.stack.is_empty() {
            self.stack = vec![0; STACK / size_of::<u128>()];
        }
        if !self.dispositions_are_default {
            self.dispositions_are_default = true;
            // The kernel's own structure, all default. The C library would refuse the two signals that it keeps
            // for itself, which whoever started the agent may have ignored as well.
            let default = [0_u64; 4];
            for number in (1..=64).filter(|&number| number != libc::SIGPIPE) {
                // SAFETY: the structure is at least as large as the kernel's, and outlives the call; all signals are
                // blocked here, so nothing changes for the agent.
                unsafe {
                    libc::syscall(
                        libc::SYS_rt_sigaction,
                        number,
                        &raw const default,
                        std::ptr::null::<u64>(),
                        8_usize,
                    )
                };
            }
        }
    }
}

extern "C" fn enter(argument: *mut c_void) -> i32 {
    // SAFETY: `launch` passes a pointer to a `Child` that lives until this function is left.
    let child = unsafe { &*argument.cast::<Child<'_>>() };
    child.error.set(Some(become_program(child)));
    // Without the exit handlers of the memory that is the agent's.
    // SAFETY: a plain number.
    unsafe { libc::_exit(127) }
}

/// Only system calls. Returns only where something failed.
fn become_program(child: &Child<'_>) -> LaunchError {
    let fail = |stage| LaunchError {
        stage,
        errno: last_error(),
    };
    // SAFETY: plain numbers and strings that outlive the calls; all in a process with a descriptor table of its own.
    unsafe {
        if child.foreground {
            if libc::setpgid(0, 0) < 0 || libc::tcsetpgrp(child.stdio[0], libc::getpid()) < 0 {
                return fail(Stage::Setup);
            }
        } else if libc::setsid() < 0 {
            return fail(Stage::Setup);
        }
        for (number, &from) in (0..).zip(&child.stdio) {
            if from != number && libc::dup2(from, number) < 0 {
                return fail(Stage::Setup);
            }
        }
        // Before the working directory is entered: a path by /proc/self/fd must not find the agent's descriptors.
        close_from(3);
        if libc::chdir(child.plan.workdir.as_ptr()) < 0 {
            return fail(Stage::Workdir);
        }
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
    execute(child.plan)
}

fn execute(plan: &Plan) -> LaunchError {
    let mut worst = LaunchError {
        stage: Stage::Lookup,
        errno: Errno::NOENT,
    };
    for candidate in &plan.candidates {
        // SAFETY: strings and arrays with their ends, alive in the parent, which waits.
        let exists = unsafe {
            libc::execve(candidate.as_ptr(), plan.argv.as_ptr(), plan.env.as_ptr());
            let errno = last_error();
            if errno != Errno::NOENT && errno != Errno::NOTDIR {
                worst = LaunchError {
                    stage: Stage::Execute,
                    errno,
                };
                // As shells do: a later folder may have one that can be executed.
                if errno == Errno::ACCESS {
                    continue;
                } else {
                    return worst;
                }
            }
            libc::access(candidate.as_ptr(), libc::F_OK) == 0
        };
        if exists {
            // The file is there, so what is missing is its interpreter.
            return LaunchError {
                stage: Stage::Execute,
                errno: Errno::NOENT,
            };
        }
    }
    worst
}

/// Closes every descriptor from this number on.
pub fn close_from(first: i32) {
    // SAFETY: plain numbers, in a process that uses none of them any more.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, i32::MAX, 0) < 0 {
            // A kernel before 5.9.
            (first..1 << 16).for_each(|raw| {
                libc::close(raw);
            });
        }
    }
}
