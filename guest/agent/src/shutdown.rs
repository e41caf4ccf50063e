//! The orderly end: everybody is asked, then killed.

use std::time::{Duration, Instant};

use crate::processes::{kill_all, signal_all};

/// After SIGKILL only a process that hangs in the kernel is left, for which nobody waits for ever.
const AFTER_KILL: Duration = Duration::from_secs(5);
/// What was born between two looks is killed by the next.
const AGAIN: Duration = Duration::from_millis(50);

pub struct Shutdown {
    deadline: Instant,
    is_killing: bool,
    give_up: Instant,
}

impl Shutdown {
    pub fn begin(first: bool, deadline: Instant) -> Self {
        signal_all(first, libc::SIGTERM);
        // A stopped process cannot end in order.
        signal_all(first, libc::SIGCONT);
        Self {
            deadline,
            is_killing: false,
            give_up: deadline + AFTER_KILL,
        }
    }

    pub fn wakes_at(&self) -> Instant {
        self.deadline
    }

    /// True: the agent may end.
    pub fn step(&mut self, first: bool, now: Instant) -> bool {
        if !has_children() || (self.is_killing && now >= self.give_up) {
            return true;
        }
        if now >= self.deadline {
            self.is_killing = true;
            self.deadline = now + AGAIN;
            kill_all(first);
        }
        false
    }
}

/// Every descendant has an ancestor among the children, or is one: orphans come to the agent.
fn has_children() -> bool {
    // SAFETY: a place for the answer that is not looked at; WNOWAIT leaves the dead to the reaping.
    unsafe {
        let mut information = std::mem::zeroed::<libc::siginfo_t>();
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
        libc::waitid(libc::P_ALL, 0, &mut information, options) == 0
    }
}
