//! The filter against the table, by an interpreter of our own; and against the kernel.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::{
    Decision, assemble,
    assemble::{NATIVE, X32},
    program,
    rules::{CLONE_NAMESPACES, PERSONALITIES, TERMINAL_CONTROLS, absent, rules},
};

const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;

fn errno(code: i32) -> u32 {
    0x0005_0000 | code as u32
}

/// Runs classic BPF as far as the filter uses it, over `struct seccomp_data`.
fn run(program: &[libc::sock_filter], architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let mut data = Vec::new();
    data.extend(number.to_ne_bytes());
    data.extend(architecture.to_ne_bytes());
    data.extend(0u64.to_ne_bytes());
    arguments
        .iter()
        .for_each(|argument| data.extend(argument.to_ne_bytes()));
    let (mut at, mut word) = (0usize, 0u32);
    loop {
        let step = program[at];
        at += 1;
        let branch = |taken: bool| usize::from(if taken { step.jt } else { step.jf });
        match step.code {
            0x20 => {
                let offset = step.k as usize;
                word = u32::from_ne_bytes(data[offset..offset + 4].try_into().expect("a word"));
            }
            0x54 => word &= step.k,
            0x05 => at += step.k as usize,
            0x15 => at += branch(word == step.k),
            0x35 => at += branch(word >= step.k),
            0x45 => at += branch(word & step.k != 0),
            0x06 => return step.k,
            code => panic!("unknown instruction {code:#x}"),
        }
    }
}

fn judged(number: u32, arguments: [u64; 6]) -> u32 {
    run(&program(), NATIVE, number, arguments)
}

/// What the table says, without the assembler.
fn expected(decision: Decision, arguments: [u64; 6]) -> u32 {
    let word = |index: usize| arguments[index] as u32;
    let allowed_or = |allowed: bool, code: i32| if allowed { ALLOW } else { errno(code) };
    match decision {
        Decision::Allow => ALLOW,
        Decision::Refuse(code) => errno(code),
        Decision::WithoutBits(mask) => allowed_or(word(0) & mask == 0, libc::EPERM),
        Decision::SocketPair => allowed_or(word(0) == libc::AF_UNIX as u32, libc::EAFNOSUPPORT),
        Decision::Ioctl => allowed_or(!TERMINAL_CONTROLS.contains(&word(1)), libc::EPERM),
        Decision::Personality => allowed_or(PERSONALITIES.contains(&word(0)), libc::EPERM),
        Decision::Socket => match word(0) as i32 {
            libc::AF_UNIX => ALLOW,
            libc::AF_NETLINK => allowed_or(word(2) == 0, libc::EPROTONOSUPPORT),
            libc::AF_INET | libc::AF_INET6 => match word(1) & 0xf {
                1 | 2 => allowed_or([0, 1, 6, 17, 58].contains(&word(2)), libc::EPROTONOSUPPORT),
                _ => errno(libc::ESOCKTNOSUPPORT),
            },
            _ => errno(libc::EAFNOSUPPORT),
        },
    }
}

fn decision_of(number: u32) -> Decision {
    rules()
        .iter()
        .find(|rule| rule.number == number)
        .map_or(absent(number), |rule| rule.decision)
}

#[test]
fn no_number_is_listed_twice() {
    let rules = rules();
    assert!(rules.windows(2).all(|pair| pair[0].number < pair[1].number));
}

#[test]
fn every_number_is_judged_as_the_table_says() {
    for number in 0..2048 {
        for arguments in [[0; 6], [u64::MAX; 6], [2, 1, 6, 0, 0, 0], [16, 3, 9, 0, 0, 0]] {
            assert_eq!(
                judged(number, arguments),
                expected(decision_of(number), arguments),
                "call {number}"
            );
        }
    }
}

#[test]
fn other_entries_are_closed() {
    for number in 0..1024 {
        assert_eq!(
            run(&program(), 0x4000_0003, number, [0; 6]),
            KILL,
            "32-bit call {number}"
        );
        assert_eq!(
            judged(X32 | number, [0; 6]),
            errno(libc::ENOSYS),
            "x32 call {number}"
        );
    }
}

#[test]
fn the_high_word_of_an_argument_changes_nothing() {
    let high = 0xdead_beef_0000_0000;
    let clone = libc::SYS_clone as u32;
    assert_eq!(
        judged(clone, [high | 0x1000_0000, 0, 0, 0, 0, 0]),
        errno(libc::EPERM)
    );
    assert_eq!(
        judged(libc::SYS_ioctl as u32, [0, high | 0x5412, 0, 0, 0, 0]),
        errno(libc::EPERM)
    );
    assert_eq!(
        judged(libc::SYS_socket as u32, [high | 38, 5, 0, 0, 0, 0]),
        errno(libc::EAFNOSUPPORT)
    );
}

#[test]
fn the_program_is_short_enough_for_the_kernel() {
    assert!(assemble::program(&rules()).len() < 1024);
}

/// What the issue of least privilege is about: each by name.
#[test]
fn dangerous_calls_are_not_on_the_list() {
    let names: Vec<&str> = rules()
        .iter()
        .filter(|rule| rule.decision == Decision::Allow)
        .map(|rule| rule.name)
        .collect();
    let dangerous = "mount umount2 move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick mount_setattr \
        pivot_root chroot setns unshare clone clone3 bpf keyctl add_key request_key userfaultfd perf_event_open \
        io_uring_setup io_uring_enter io_uring_register kexec_load kexec_file_load init_module finit_module \
        delete_module open_by_handle_at name_to_handle_at quotactl quotactl_fd swapon swapoff reboot settimeofday \
        clock_settime acct iopl ioperm modify_ldt syslog sethostname setdomainname vhangup lookup_dcookie nfsservctl \
        fanotify_init kcmp pidfd_getfd memfd_secret uselib ustat sysfs _sysctl create_module migrate_pages move_pages \
        statmount listmount lsm_set_self_attr";
    for name in dangerous.split_whitespace() {
        assert!(!names.contains(&name), "{name} is allowed");
    }
}

proptest! {
    #[test]
    fn any_call_with_any_arguments_is_judged_as_the_table_says(
        number in 0u32..600,
        arguments in prop::array::uniform6(prop_oneof![any::<u64>(), 0u64..64, Just(0x5412), Just(u64::from(CLONE_NAMESPACES))]),
    ) {
        prop_assert_eq!(judged(number, arguments), expected(decision_of(number), arguments));
    }
}

#[test]
fn the_documented_table_is_current() {
    let mut text = String::from(
        "# System calls inside a native sandbox\n\nGenerated from the filter's own table on x86-64. Everything that is not \
         listed is refused: with EPERM, or\nwith ENOSYS if it is newer than this list. Why, case by case: \
         [design 0003](../design/0003-seccomp-allow-list.md).\n\n## Allowed under a condition, or refused by another error\n\n\
         | call | decision |\n|---|---|\n",
    );
    for rule in rules().iter().filter(|rule| rule.decision != Decision::Allow) {
        let decision = match rule.decision {
            Decision::WithoutBits(mask) => format!("without namespace flags ({mask:#x})"),
            Decision::Refuse(_) => "refused with ENOSYS, so that programs use `clone`".to_owned(),
            Decision::Socket => {
                "unix; IPv4 and IPv6 stream and datagram (TCP, UDP, ICMP); netlink route".to_owned()
            }
            Decision::SocketPair => "unix".to_owned(),
            Decision::Ioctl => "all but TIOCSTI, TIOCLINUX, TIOCCONS, TIOCSETD".to_owned(),
            Decision::Personality => "Linux, with or without address randomisation, and asking".to_owned(),
            Decision::Allow => unreachable!("filtered out"),
        };
        writeln!(text, "| {} | {decision} |", rule.name).expect("text grows");
    }
    text.push_str("\n## Allowed\n\n");
    let mut names: Vec<&str> = rules()
        .iter()
        .filter(|rule| rule.decision == Decision::Allow)
        .map(|rule| rule.name)
        .collect();
    names.sort_unstable();
    let mut line = String::new();
    for name in names {
        if line.len() + name.len() > 110 {
            text.push_str(line.trim_end());
            text.push('\n');
            line.clear();
        }
        line.push_str(name);
        line.push(' ');
    }
    text.push_str(line.trim_end());
    text.push('\n');
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/seccomp.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &text).expect("the table can be written");
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == text,
        "docs/reference/seccomp.md is not current: run this test with UPDATE_DOCS=1"
    );
}
