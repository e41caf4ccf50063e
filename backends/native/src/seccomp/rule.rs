//! What a rule is. Data only: `assemble` compiles it, `reference` prints it, tests evaluate it.

/// One system call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rule {
    pub name: &'static str,
    pub number: u32,
    pub decision: Decision,
    /// For people, in a few words.
    pub reason: &'static str,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Whatever the arguments are.
    Always(Verdict),
    /// It depends on them.
    Check(&'static Arguments),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    Allow,
    /// The call is not made and returns this error.
    Refuse(i32),
}

/// Judges the arguments of a call: the first clause that holds decides.
#[derive(Debug, Eq, PartialEq)]
pub struct Arguments {
    /// For people: what is allowed.
    pub summary: &'static str,
    pub clauses: &'static [Clause],
    pub otherwise: Verdict,
}

/// Holds when all its conditions do.
#[derive(Debug, Eq, PartialEq)]
pub struct Clause {
    pub when: &'static [Condition],
    pub then: Verdict,
}

pub(super) const fn when(when: &'static [Condition], then: Verdict) -> Clause {
    Clause { when, then }
}

/// `(low word of the argument & mask) == value`.
///
/// Only the low word: every argument that is judged here is declared as `int` or `unsigned int` (or is cut to
/// one at once, as the flags of `clone`) in the kernel, so that the high word, which a caller may fill with
/// anything, means nothing. To compare it, too, would let `ioctl(fd, TIOCSTI | 1 << 32, ...)` pass. Where the
/// high word has a meaning, [`Condition::high`] looks at it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Condition {
    /// 0 to 5.
    pub argument: u8,
    pub high: bool,
    pub mask: u32,
    pub value: u32,
}

impl Condition {
    pub(super) const fn equals(argument: u8, value: u32) -> Self {
        Self {
            argument,
            high: false,
            mask: u32::MAX,
            value,
        }
    }

    /// The bits of the mask are all zero.
    pub(super) const fn without(argument: u8, mask: u32) -> Self {
        Self {
            argument,
            high: false,
            mask,
            value: 0,
        }
    }

    pub(super) const fn masked(argument: u8, mask: u32, value: u32) -> Self {
        Self {
            argument,
            high: false,
            mask,
            value,
        }
    }

    pub(super) const fn high_word_is_zero(argument: u8) -> Self {
        Self {
            argument,
            high: true,
            mask: u32::MAX,
            value: 0,
        }
    }
}

/// Calls that share a decision and its reason.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub decision: Decision,
    pub reason: &'static str,
    /// The names of the constants of their numbers, and the numbers.
    pub calls: &'static [(&'static str, libc::c_long)],
}

impl Group {
    pub(super) fn rules(&self) -> impl Iterator<Item = Rule> + use<> {
        let Self {
            decision,
            reason,
            calls,
        } = *self;
        calls.iter().map(move |&(constant, number)| Rule {
            name: constant.trim_start_matches("SYS_"),
            number: number as u32,
            decision,
            reason,
        })
    }
}

/// `(name, number)` of constants of `numbers`, which are libc's and a few of our own.
macro_rules! calls {
    ($($name:ident)*) => { &[$((stringify!($name), $crate::seccomp::numbers::$name)),*] };
}
pub(super) use calls;
