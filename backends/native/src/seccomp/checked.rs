//! Calls that are judged by their arguments.

use super::{
    rule::{
        Arguments, Condition,
        Decision::Check,
        Group,
        Verdict::{Allow, Refuse},
        calls, when,
    },
    sockets::{SETSOCKOPT, SOCKET, SOCKETPAIR},
};

/// Every flag that makes a namespace. `CLONE_NEWTIME` (0x80) is none here: in `clone(2)` these bits are the
/// signal at exit.
pub(super) const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

/// What `unshare` may take from a process without giving it a namespace. An allow-list: new flags of
/// `unshare` tend to be about namespaces.
pub(super) const UNSHARED: u32 = (libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SYSVSEM
    | libc::CLONE_VM
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD) as u32;

static CLONE: Arguments = Arguments {
    summary: "without a flag that makes a namespace",
    clauses: &[when(&[Condition::without(0, NAMESPACES)], Allow)],
    otherwise: Refuse(libc::EPERM),
};

static UNSHARE: Arguments = Arguments {
    summary: "files, working directory and semaphores only",
    // The only flags here that are declared as a long: the high word must be empty, too.
    clauses: &[when(
        &[Condition::without(0, !UNSHARED), Condition::high_word_is_zero(0)],
        Allow,
    )],
    otherwise: Refuse(libc::EPERM),
};

static IOCTL: Arguments = Arguments {
    summary: "all but TIOCSTI, TIOCLINUX, TIOCCONS and TIOCSETD",
    clauses: &[
        // Types into the terminal of another.
        when(&[Condition::equals(1, libc::TIOCSTI as u32)], Refuse(libc::EPERM)),
        // Selects and pastes on a console.
        when(
            &[Condition::equals(1, libc::TIOCLINUX as u32)],
            Refuse(libc::EPERM),
        ),
        // Takes the output of the console.
        when(
            &[Condition::equals(1, libc::TIOCCONS as u32)],
            Refuse(libc::EPERM),
        ),
        // Loads a line discipline: rarely used drivers with many holes so far.
        when(&[Condition::equals(1, TIOCSETD)], Refuse(libc::EPERM)),
    ],
    otherwise: Allow,
};
// include/uapi/asm-generic/ioctls.h
const TIOCSETD: u32 = 0x5423;

// include/uapi/linux/personality.h
const PER_LINUX: u32 = 0;
const PER_LINUX32: u32 = 8;

static PERSONALITY: Arguments = Arguments {
    summary: "Linux, with an older name, without address randomisation, and the question",
    clauses: &[
        when(&[Condition::equals(0, PER_LINUX)], Allow),
        // The name that `uname` shows only: entering 32-bit calls kills.
        when(&[Condition::equals(0, PER_LINUX32)], Allow),
        when(&[Condition::equals(0, libc::UNAME26 as u32)], Allow),
        when(&[Condition::equals(0, libc::UNAME26 as u32 | PER_LINUX32)], Allow),
        // Debuggers.
        when(&[Condition::equals(0, libc::ADDR_NO_RANDOMIZE as u32)], Allow),
        when(&[Condition::equals(0, u32::MAX)], Allow),
    ],
    otherwise: Refuse(libc::EPERM),
};

static PRLIMIT: Arguments = Arguments {
    summary: "one's own limits, and asking for those of others",
    clauses: &[
        when(&[Condition::equals(0, 0)], Allow),
        // Without new limits. A pointer has two words.
        when(&[Condition::equals(2, 0), Condition::high_word_is_zero(2)], Allow),
    ],
    otherwise: Refuse(libc::EPERM),
};

/// Files without a device behind them. A device node needs a capability that nobody has; only the node 0:0,
/// which an overlay takes for a deleted file, does not.
macro_rules! nodes_without_a_device {
    ($argument:literal) => {
        Arguments {
            summary: "files, pipes and sockets, no device",
            clauses: &[
                when(&[Condition::masked($argument, libc::S_IFMT, 0)], Allow),
                when(
                    &[Condition::masked($argument, libc::S_IFMT, libc::S_IFREG)],
                    Allow,
                ),
                when(
                    &[Condition::masked($argument, libc::S_IFMT, libc::S_IFIFO)],
                    Allow,
                ),
                when(
                    &[Condition::masked($argument, libc::S_IFMT, libc::S_IFSOCK)],
                    Allow,
                ),
            ],
            otherwise: Refuse(libc::EPERM),
        }
    };
}

#[cfg(target_arch = "x86_64")]
static MKNOD: Arguments = nodes_without_a_device!(1);
static MKNODAT: Arguments = nodes_without_a_device!(2);

const fn checked(
    arguments: &'static Arguments,
    reason: &'static str,
    calls: &'static [(&'static str, libc::c_long)],
) -> Group {
    Group {
        decision: Check(arguments),
        reason,
        calls,
    }
}

pub(super) const GROUPS: &[Group] = &[
    checked(
        &CLONE,
        "a user namespace gives capabilities over much of the kernel",
        calls! { SYS_clone },
    ),
    checked(
        &UNSHARE,
        "a user namespace gives capabilities over much of the kernel",
        calls! { SYS_unshare },
    ),
    checked(
        &SOCKET,
        "other families load modules and had holes; AF_VSOCK leads past every network wall",
        calls! {
            SYS_socket
        },
    ),
    checked(
        &SOCKETPAIR,
        "no other family that is allowed has pairs",
        calls! { SYS_socketpair },
    ),
    checked(
        &SETSOCKOPT,
        "a part of the kernel with many holes; libraries encrypt by themselves",
        calls! {
            SYS_setsockopt
        },
    ),
    checked(
        &IOCTL,
        "types into, or takes over, a terminal",
        calls! { SYS_ioctl },
    ),
    checked(
        &PRLIMIT,
        "the first process has the same user, and must not be starved of descriptors",
        calls! { SYS_prlimit64 },
    ),
    checked(
        &PERSONALITY,
        "others weaken the memory protection of programs",
        calls! { SYS_personality },
    ),
    #[cfg(target_arch = "x86_64")]
    checked(&MKNOD, "a second wall before devices", calls! { SYS_mknod }),
    checked(&MKNODAT, "a second wall before devices", calls! { SYS_mknodat }),
];
