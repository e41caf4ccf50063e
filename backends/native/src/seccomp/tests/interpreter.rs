//! Runs classic BPF, as far as the filter uses it, over `struct seccomp_data`.

pub(super) const ALLOW: u32 = 0x7fff_0000;
pub(super) const KILL_PROCESS: u32 = 0x8000_0000;

pub(super) const fn refused(errno: i32) -> u32 {
    0x0005_0000 | errno as u32
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub architecture: u32,
    pub number: u32,
    pub arguments: [u64; 6],
}

/// Panics on anything that the kernel would refuse to load: an unknown step, or one past the end.
pub(super) fn run(program: &[libc::sock_filter], call: Call) -> u32 {
    let mut data = Vec::new();
    data.extend(call.number.to_ne_bytes());
    data.extend(call.architecture.to_ne_bytes());
    data.extend(0u64.to_ne_bytes());
    call.arguments
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
            0x06 => return step.k,
            code => panic!("unknown step {code:#x} at {}", at - 1),
        }
    }
}

#[test]
fn the_longest_way_through_the_filter_is_short() {
    let program = super::super::program();
    assert!(program.len() < 400, "{} steps", program.len());
    let longest = |from: usize| longest_way(&program, from);
    // The architecture, the number, the search (7 or 8 steps) and the clauses of `socket`.
    assert!(longest(0) < 128, "{} steps", longest(0));
}

fn longest_way(program: &[libc::sock_filter], from: usize) -> usize {
    // Jumps lead forward only: from the end, each step's way is known when it is needed.
    let mut ways = vec![0usize; program.len()];
    for at in (0..program.len()).rev() {
        let step = program[at];
        ways[at] = 1 + match step.code {
            0x06 => 0,
            0x05 => ways[at + 1 + step.k as usize],
            0x15 | 0x35 => ways[at + 1 + usize::from(step.jt)].max(ways[at + 1 + usize::from(step.jf)]),
            _ => ways[at + 1],
        };
    }
    ways[from]
}
