//! From rules to a classic BPF program.
//!
//! A binary search over the call numbers: any call is judged in a dozen steps, and the kernel's own look at
//! every number (for its cache of calls that are always allowed) is short. Every piece of the program ends in
//! a return and jumps only forward within itself, so pieces are put together by appending.

use libc::sock_filter;

use super::{
    UNKNOWN,
    rule::{Arguments, Clause, Condition, Decision, Rule, Verdict},
};

// linux/bpf_common.h
const LOAD_WORD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

// linux/seccomp.h: struct seccomp_data
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

// linux/audit.h. Both are little-endian, which `word_of` relies on.
#[cfg(target_arch = "x86_64")]
pub(super) const NATIVE: u32 = 0xc000_003e; // AUDIT_ARCH_X86_64
#[cfg(target_arch = "aarch64")]
pub(super) const NATIVE: u32 = 0xc000_00b7; // AUDIT_ARCH_AARCH64

/// Numbers from here on are calls of x32 on x86-64, a second table with its own ways to pass arguments.
pub(super) const X32: u32 = 0x4000_0000;
/// A tracer writes this number to skip a call. Not an x32 call, and no reason for another error than the
/// kernel's own.
pub(super) const SKIPPED: u32 = u32::MAX;

pub(super) fn program(rules: &[Rule]) -> Vec<sock_filter> {
    let mut program = vec![
        load(ARCHITECTURE),
        jump(JUMP_EQUAL, NATIVE, 1, 0),
        // The 32-bit entry has a table of its own: judged by this one, anything could pass. Nothing that is
        // built for this machine enters there, so whoever does is stopped for good.
        end(libc::SECCOMP_RET_KILL_PROCESS),
        load(NUMBER),
        jump(JUMP_AT_LEAST, X32, 0, 3),
        jump(JUMP_EQUAL, SKIPPED, 0, 1),
        end(value_of(UNKNOWN)),
        end(value_of(Verdict::Refuse(libc::EPERM))),
    ];
    program.extend(search(&ranges(rules)));
    program
}

/// From `first` up to the next range the decision is the same.
#[derive(Clone, Copy)]
struct Range {
    first: u32,
    decision: Decision,
}

/// `rules` are in the order of their numbers, which are below [`X32`].
fn ranges(rules: &[Rule]) -> Vec<Range> {
    const GAP: Decision = Decision::Always(UNKNOWN);
    let mut ranges = vec![Range {
        first: 0,
        decision: GAP,
    }];
    for rule in rules {
        // Where a range of the same number stands, it is the gap behind the call before.
        ranges.pop_if(|last| last.first == rule.number);
        ranges.push(Range {
            first: rule.number,
            decision: rule.decision,
        });
        ranges.push(Range {
            first: rule.number + 1,
            decision: GAP,
        });
    }
    ranges.dedup_by(|next, kept| next.decision == kept.decision);
    ranges
}

fn search(ranges: &[Range]) -> Vec<sock_filter> {
    if let [only] = ranges {
        return judge(only.decision);
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
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
        Decision::Always(verdict) => vec![end(value_of(verdict))],
        Decision::Check(Arguments {
            clauses, otherwise, ..
        }) => {
            let mut program: Vec<sock_filter> = clauses.iter().flat_map(clause).collect();
            program.push(end(value_of(*otherwise)));
            program
        }
    }
}

/// Built from the end, because a condition that fails jumps behind it.
fn clause(clause: &Clause) -> Vec<sock_filter> {
    let mut reversed = vec![end(value_of(clause.then))];
    for condition in clause.when.iter().rev() {
        let over = u8::try_from(reversed.len()).expect("a clause has a handful of conditions");
        reversed.push(jump(JUMP_EQUAL, condition.value, 0, over));
        if condition.mask != u32::MAX {
            reversed.push(sock_filter {
                code: AND,
                jt: 0,
                jf: 0,
                k: condition.mask,
            });
        }
        reversed.push(load(word_of(condition)));
    }
    reversed.reverse();
    reversed
}

fn word_of(condition: &Condition) -> u32 {
    ARGUMENTS + 8 * u32::from(condition.argument) + if condition.high { 4 } else { 0 }
}

pub(super) fn value_of(verdict: Verdict) -> u32 {
    match verdict {
        Verdict::Allow => libc::SECCOMP_RET_ALLOW,
        Verdict::Refuse(errno) => libc::SECCOMP_RET_ERRNO | errno as u32,
    }
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
