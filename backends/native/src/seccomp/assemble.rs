//! From rules to a classic BPF program: a binary search over the call numbers, so that any call is judged
//! in a dozen steps and the kernel's look at every number (for its cache of always-allowed calls) is short.

use libc::sock_filter;

use super::rules::{Decision, PERSONALITIES, Rule, TERMINAL_CONTROLS, absent};

// linux/bpf_common.h
const LOAD_WORD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const JUMP_ANY_BIT: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

// linux/seccomp.h: struct seccomp_data and the return values
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ALLOW: u32 = 0x7fff_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
const ERRNO: u32 = 0x0005_0000;

// linux/audit.h
#[cfg(target_arch = "x86_64")]
pub(super) const NATIVE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
pub(super) const NATIVE: u32 = 0xc000_00b7;
/// The bit of x32 calls in a number on x86-64; no other call has it.
pub(super) const X32: u32 = 0x4000_0000;

/// The low word of an argument. The kernel takes these arguments as 32-bit integers, so the high word,
/// which a caller may fill with anything, means nothing.
const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

pub(super) fn program(rules: &[Rule]) -> Vec<sock_filter> {
    let mut program = vec![
        load(ARCHITECTURE),
        jump(JUMP_EQUAL, NATIVE, 1, 0),
        // A 32-bit entry would be judged by the wrong table: nothing that is built for here makes one.
        end(KILL_PROCESS),
        load(NUMBER),
        jump(JUMP_AT_LEAST, X32, 0, 1),
        refuse(libc::ENOSYS),
    ];
    program.extend(search(&segments(rules)));
    program
}

/// From `first` on, up to the next segment, the decision is the same.
#[derive(Clone, Copy)]
struct Segment {
    first: u32,
    decision: Decision,
}

fn segments(rules: &[Rule]) -> Vec<Segment> {
    let highest = rules
        .last()
        .map_or(0, |rule| rule.number)
        .max(super::rules::LAST_KNOWN)
        + 1;
    let mut segments: Vec<Segment> = Vec::new();
    let mut rules = rules.iter().peekable();
    for number in 0..=highest {
        let decision = rules
            .next_if(|rule| rule.number == number)
            .map_or(absent(number), |rule| rule.decision);
        if segments.last().is_none_or(|last| last.decision != decision) {
            segments.push(Segment {
                first: number,
                decision,
            });
        }
    }
    segments
}

fn search(segments: &[Segment]) -> Vec<sock_filter> {
    if let [only] = segments {
        return judge(only.decision);
    }
    let (low, high) = segments.split_at(segments.len() / 2);
    let (first, low, high) = (high[0].first, search(low), search(high));
    let mut program = Vec::with_capacity(low.len() + high.len() + 2);
    match u8::try_from(low.len()) {
        Ok(over) => program.push(jump(JUMP_AT_LEAST, first, over, 0)),
        Err(_) => {
            // A conditional jump reaches 255 steps, an unconditional one any number.
            program.push(jump(JUMP_AT_LEAST, first, 0, 1));
            program.push(sock_filter {
                code: JUMP,
                jt: 0,
                jf: 0,
                k: low.len() as u32,
            });
        }
    }
    program.extend(low);
    program.extend(high);
    program
}

fn judge(decision: Decision) -> Vec<sock_filter> {
    match decision {
        Decision::Allow => vec![end(ALLOW)],
        Decision::Refuse(errno) => vec![refuse(errno)],
        Decision::WithoutBits(mask) => {
            vec![
                load(argument(0)),
                jump(JUMP_ANY_BIT, mask, 0, 1),
                refuse(libc::EPERM),
                end(ALLOW),
            ]
        }
        Decision::SocketPair => vec![
            load(argument(0)),
            jump(JUMP_EQUAL, libc::AF_UNIX as u32, 1, 0),
            refuse(libc::EAFNOSUPPORT),
            end(ALLOW),
        ],
        Decision::Socket => socket(),
        Decision::Ioctl => none_of(1, &TERMINAL_CONTROLS),
        Decision::Personality => one_of(0, &PERSONALITIES),
    }
}

/// Unix sockets of every type; IPv4 and IPv6 streams and datagrams of the protocols that everybody uses (a raw
/// one needs a capability that nobody has); netlink for the list of addresses only.
fn socket() -> Vec<sock_filter> {
    const TYPE_MASK: u32 = 0xf;
    const PROTOCOLS: [i32; 5] = [
        0,
        libc::IPPROTO_ICMP,
        libc::IPPROTO_TCP,
        libc::IPPROTO_UDP,
        libc::IPPROTO_ICMPV6,
    ];
    let mut inet = vec![
        load(argument(1)),
        sock_filter {
            code: AND,
            jt: 0,
            jf: 0,
            k: TYPE_MASK,
        },
        jump(JUMP_EQUAL, libc::SOCK_STREAM as u32, 2, 0),
        jump(JUMP_EQUAL, libc::SOCK_DGRAM as u32, 1, 0),
        refuse(libc::ESOCKTNOSUPPORT),
        load(argument(2)),
    ];
    for (index, protocol) in PROTOCOLS.iter().enumerate() {
        // Over the remaining comparisons and the refusal to the end.
        inet.push(jump(
            JUMP_EQUAL,
            *protocol as u32,
            (PROTOCOLS.len() - index) as u8,
            0,
        ));
    }
    inet.extend([refuse(libc::EPROTONOSUPPORT), end(ALLOW)]);
    let netlink = [
        load(argument(2)),
        jump(JUMP_EQUAL, libc::NETLINK_ROUTE as u32, 1, 0),
        refuse(libc::EPROTONOSUPPORT),
        end(ALLOW),
    ];
    let mut program = vec![
        load(argument(0)),
        jump(JUMP_EQUAL, libc::AF_UNIX as u32, 0, 1),
        end(ALLOW),
        jump(JUMP_EQUAL, libc::AF_NETLINK as u32, 3, 0),
        jump(JUMP_EQUAL, libc::AF_INET as u32, 2 + netlink.len() as u8, 0),
        jump(JUMP_EQUAL, libc::AF_INET6 as u32, 1 + netlink.len() as u8, 0),
        refuse(libc::EAFNOSUPPORT),
    ];
    program.extend(netlink);
    program.extend(inet);
    program
}

fn none_of(index: u32, values: &[u32]) -> Vec<sock_filter> {
    listed(index, values, refuse(libc::EPERM), end(ALLOW))
}

fn one_of(index: u32, values: &[u32]) -> Vec<sock_filter> {
    listed(index, values, end(ALLOW), refuse(libc::EPERM))
}

fn listed(index: u32, values: &[u32], found: sock_filter, otherwise: sock_filter) -> Vec<sock_filter> {
    let mut program = vec![load(argument(index))];
    for (position, value) in values.iter().enumerate() {
        program.push(jump(JUMP_EQUAL, *value, (values.len() - position) as u8, 0));
    }
    program.extend([otherwise, found]);
    program
}

fn load(offset: u32) -> sock_filter {
    sock_filter {
        code: LOAD_WORD,
        jt: 0,
        jf: 0,
        k: offset,
    }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

fn end(value: u32) -> sock_filter {
    sock_filter {
        code: RETURN,
        jt: 0,
        jf: 0,
        k: value,
    }
}

fn refuse(errno: i32) -> sock_filter {
    end(ERRNO | errno as u32)
}
