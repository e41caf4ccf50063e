//! The program decides as the table says, for every number and any arguments.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    super::{
        Condition, Decision, Rule, UNKNOWN, Verdict,
        assemble::{NATIVE, SKIPPED, X32, value_of},
        checked::{NAMESPACES, UNSHARED},
        explain, program,
    },
    interpreter::{ALLOW, Call, KILL_PROCESS, refused, run},
};

fn judged(number: u32, arguments: [u64; 6]) -> u32 {
    run(
        &program(),
        Call {
            architecture: NATIVE,
            number,
            arguments,
        },
    )
}

/// What the table says, without the assembler.
fn expected(rules: &[Rule], number: u32, arguments: [u64; 6]) -> u32 {
    let holds = |condition: &Condition| {
        let argument = arguments[usize::from(condition.argument)];
        let word = if condition.high {
            (argument >> 32) as u32
        } else {
            argument as u32
        };
        word & condition.mask == condition.value
    };
    let verdict = match rules
        .iter()
        .find(|rule| rule.number == number)
        .map(|rule| rule.decision)
    {
        _ if (X32..SKIPPED).contains(&number) => Verdict::Refuse(libc::EPERM),
        None => UNKNOWN,
        Some(Decision::Always(verdict)) => verdict,
        Some(Decision::Check(check)) => {
            let clause = check.clauses.iter().find(|clause| clause.when.iter().all(holds));
            clause.map_or(check.otherwise, |clause| clause.then)
        }
    };
    value_of(verdict)
}

#[test]
fn every_number_is_judged_as_the_table_says() {
    let rules = explain();
    for number in (0..1024)
        .chain(X32..X32 + 1024)
        .chain([X32 - 1, SKIPPED - 1, SKIPPED])
    {
        assert_eq!(
            judged(number, [0; 6]),
            expected(&rules, number, [0; 6]),
            "call {number}"
        );
        assert_eq!(
            judged(number, [!0; 6]),
            expected(&rules, number, [!0; 6]),
            "call {number}"
        );
    }
}

#[test]
fn a_call_stands_in_the_table_once() {
    let mut seen = BTreeMap::new();
    for rule in explain() {
        assert_eq!(seen.insert(rule.number, rule.name), None, "{}", rule.name);
        assert!(!rule.reason.is_empty(), "{}", rule.name);
    }
}

#[test]
fn a_foreign_architecture_is_killed_whatever_it_calls() {
    // i386, ARM, and x86-64 without its bits.
    for architecture in [0x4000_0003, 0x4000_0028, 0x3e, 0] {
        for number in 0..512 {
            let call = Call {
                architecture,
                number,
                arguments: [0; 6],
            };
            assert_eq!(run(&program(), call), KILL_PROCESS, "{architecture:#x} {number}");
        }
    }
}

#[test]
fn x32_is_refused_and_a_skipped_call_gets_the_kernels_own_error() {
    assert_eq!(judged(X32, [0; 6]), refused(libc::EPERM));
    assert_eq!(judged(X32 | libc::SYS_mount as u32, [0; 6]), refused(libc::EPERM));
    assert_eq!(judged(SKIPPED, [0; 6]), refused(libc::ENOSYS));
}

#[test]
fn a_namespace_flag_is_refused_in_clone_and_unshare() {
    let flags = (0..32)
        .map(|bit| 1u64 << bit)
        .filter(|flag| u64::from(NAMESPACES) & flag != 0);
    for flag in flags {
        for extra in [0, 17, u64::from(UNSHARED), 0xffff_ffff_0000_0000] {
            let arguments = [flag | extra, 0, 0, 0, 0, 0];
            for call in [libc::SYS_clone, libc::SYS_unshare] {
                assert_eq!(
                    judged(call as u32, arguments),
                    refused(libc::EPERM),
                    "{call} {flag:#x}"
                );
            }
        }
    }
    let thread = (libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND | libc::CLONE_FS) as u64;
    assert_eq!(judged(libc::SYS_clone as u32, [thread, 0, 0, 0, 0, 0]), ALLOW);
    assert_eq!(
        judged(libc::SYS_unshare as u32, [libc::CLONE_FS as u64, 0, 0, 0, 0, 0]),
        ALLOW
    );
    // CLONE_NEWTIME is a flag of `unshare` only.
    assert_eq!(
        judged(libc::SYS_unshare as u32, [0x80, 0, 0, 0, 0, 0]),
        refused(libc::EPERM)
    );
    assert_eq!(
        judged(libc::SYS_unshare as u32, [1 << 37, 0, 0, 0, 0, 0]),
        refused(libc::EPERM)
    );
}

#[test]
fn only_the_families_that_programs_need_become_sockets() {
    let socket = |family: i32, kind: i32, protocol: i32| {
        judged(
            libc::SYS_socket as u32,
            [family as u64, kind as u64, protocol as u64, 0, 0, 0],
        )
    };
    let cloexec = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    assert_eq!(socket(libc::AF_UNIX, cloexec, 0), ALLOW);
    assert_eq!(socket(libc::AF_INET, cloexec, 0), ALLOW);
    assert_eq!(socket(libc::AF_INET6, cloexec, libc::IPPROTO_TCP), ALLOW);
    assert_eq!(socket(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP), ALLOW);
    assert_eq!(
        socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE),
        ALLOW
    );
    assert_eq!(
        socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_AUDIT),
        refused(libc::EPROTONOSUPPORT)
    );
    assert_eq!(
        socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_TCP),
        refused(libc::EPERM)
    );
    assert_eq!(
        socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP),
        refused(libc::EPROTONOSUPPORT)
    );
    assert_eq!(
        socket(libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_MPTCP),
        refused(libc::EPROTONOSUPPORT)
    );
    // SOCK_PACKET, which the kernel turns into AF_PACKET.
    assert_eq!(socket(libc::AF_INET, 10, 0x300), refused(libc::EPROTONOSUPPORT));
    let allowed = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    for family in (0..64).filter(|family| !allowed.contains(family)) {
        assert_eq!(
            socket(family, libc::SOCK_STREAM, 0),
            refused(libc::EAFNOSUPPORT),
            "family {family}"
        );
        assert_eq!(
            socket(family, libc::SOCK_RAW, 0),
            refused(libc::EAFNOSUPPORT),
            "family {family}"
        );
    }
}

#[test]
fn limits_of_other_processes_can_be_read_only() {
    let prlimit = |pid: u64, new: u64| judged(libc::SYS_prlimit64 as u32, [pid, 7, new, 0, 0, 0]);
    assert_eq!(prlimit(0, 0x7fff_0000_1000), ALLOW);
    assert_eq!(prlimit(1, 0), ALLOW);
    assert_eq!(prlimit(1, 0x7fff_0000_1000), refused(libc::EPERM));
    // Either word of a pointer makes it one.
    assert_eq!(prlimit(1, 0x7fff_0000_0000), refused(libc::EPERM));
    assert_eq!(prlimit(1 << 32, 0x1000), ALLOW, "the kernel reads pid 0");
}

#[test]
fn what_stands_in_the_high_word_of_an_integer_changes_nothing() {
    let high = 0xdead_beef_0000_0000u64;
    for command in [libc::TIOCSTI, libc::TIOCLINUX, libc::TIOCCONS, 0x5423] {
        let arguments = [0, high | command, 0, 0, 0, 0];
        assert_eq!(
            judged(libc::SYS_ioctl as u32, arguments),
            refused(libc::EPERM),
            "{command:#x}"
        );
    }
    let vsock = [high | libc::AF_VSOCK as u64, 1, 0, 0, 0, 0];
    assert_eq!(
        judged(libc::SYS_socket as u32, vsock),
        refused(libc::EAFNOSUPPORT)
    );
    let device = [0, 0, high | u64::from(libc::S_IFBLK | 0o600), 0, 0, 0];
    assert_eq!(judged(libc::SYS_mknodat as u32, device), refused(libc::EPERM));
    let read_implies_execute = [high | libc::READ_IMPLIES_EXEC as u64, 0, 0, 0, 0, 0];
    assert_eq!(
        judged(libc::SYS_personality as u32, read_implies_execute),
        refused(libc::EPERM)
    );
}

/// Words around everything that a clause compares with, and any others.
fn argument() -> impl Strategy<Value = u64> {
    let values: Vec<u64> = explain()
        .iter()
        .filter_map(|rule| match rule.decision {
            Decision::Check(check) => Some(check),
            Decision::Always(_) => None,
        })
        .flat_map(|check| check.clauses)
        .flat_map(|clause| clause.when)
        .map(|condition| u64::from(condition.value))
        .collect();
    let near = (
        proptest::sample::select(values),
        0u64..4,
        prop_oneof![Just(0u64), any::<u64>()],
    )
        .prop_map(|(value, more, high)| (value + more) | (high << 32));
    prop_oneof![near, any::<u64>(), (0u32..64).prop_map(|bit| 1 << bit)]
}

proptest! {
    #[test]
    fn the_program_equals_the_table(number in prop_oneof![0u32..512, any::<u32>()], arguments in proptest::array::uniform6(argument())) {
        prop_assert_eq!(judged(number, arguments), expected(&explain(), number, arguments));
    }

    #[test]
    fn a_checked_call_is_judged_as_the_table_says(index in any::<proptest::sample::Index>(), arguments in proptest::array::uniform6(argument())) {
        let rules = explain();
        let checked: Vec<u32> = rules.iter().filter(|rule| matches!(rule.decision, Decision::Check(_))).map(|rule| rule.number).collect();
        let number = *index.get(&checked);
        prop_assert_eq!(judged(number, arguments), expected(&rules, number, arguments));
    }
}
