//! A request made ready: everything that the child needs, in memory, so that it only makes system calls.

use std::{
    ffi::{CString, c_char},
    ptr,
};

use agentkernel_protocol::ExecRequest;

use crate::{
    failure::{Failure, Result, shown},
    sandbox::{Booted, absolute, extend},
};

/// Where programs are if the environment does not say.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub struct Plan {
    pub workdir: CString,
    /// The paths to try, in this order.
    pub candidates: Vec<CString>,
    pub argv: Pointers,
    pub env: Pointers,
}

/// Strings and the array of pointers to them that `execve` takes.
pub struct Pointers {
    /// Owns what `pointers` points to: a CString's bytes stay where they are when it is moved.
    strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Plan {
    pub fn new(request: &ExecRequest, booted: &Booted) -> Result<Self> {
        let program = match request.argv.first() {
            Some(program) if !program.is_empty() => program,
            _ => return Err(Failure::invalid("no command was given")),
        };
        let argv = request
            .argv
            .iter()
            .map(|argument| CString::new(argument.as_slice()));
        let argv = argv.collect::<Result<Vec<_>, _>>();
        let argv = argv.map_err(|_| Failure::invalid("an argument has a NUL character"))?;
        let mut environment = booted.environment.clone();
        extend(&mut environment, &request.env)?;
        let workdir = if request.workdir.is_empty() {
            booted.workdir.clone()
        } else {
            absolute(request.workdir.to_vec())?
        };
        let path = environment.get(&b"PATH"[..]).map(|entry| &entry.as_bytes()[5..]);
        let candidates = candidates(program, path.unwrap_or(DEFAULT_PATH));
        let env = environment.into_values().collect();
        Ok(Self {
            workdir,
            candidates,
            argv: Pointers::new(argv),
            env: Pointers::new(env),
        })
    }

    /// Its name as it was asked for.
    pub fn program(&self) -> impl std::fmt::Display {
        shown(self.argv.strings[0].as_bytes())
    }
}

impl Pointers {
    fn new(strings: Vec<CString>) -> Self {
        let pointers = strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([ptr::null()])
            .collect();
        Self { strings, pointers }
    }

    pub fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

/// The program has no NUL: it is among the arguments, which were checked.
fn candidates(program: &[u8], path: &[u8]) -> Vec<CString> {
    if program.contains(&b'/') {
        return CString::new(program).into_iter().collect();
    }
    let folders = path.split(|&byte| byte == b':');
    let full = folders.map(|folder| {
        // As everywhere on Unix, an empty entry is the current folder.
        let folder = if folder.is_empty() { b"." } else { folder };
        [folder, b"/", program].concat()
    });
    full.filter_map(|full| CString::new(full).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_a_slash_is_not_looked_up() {
        assert_eq!(candidates(b"./x", b"/bin"), [c"./x".to_owned()]);
    }

    #[test]
    fn an_empty_entry_of_the_path_is_the_current_folder() {
        assert_eq!(
            candidates(b"x", b"/a::/b"),
            [c"/a/x".to_owned(), c"./x".to_owned(), c"/b/x".to_owned()]
        );
    }
}
