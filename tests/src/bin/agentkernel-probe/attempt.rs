//! The common ways to try something, and when a failure counts as a refusal.

use std::{
    ffi::{CString, c_long},
    fs::{self, File, OpenOptions},
    io,
};

use crate::report::{Outcome, blocked, leaked, skipped};

/// Errors by which a wall refuses. Anything else means that the kernel has looked at the request.
pub const REFUSED: &[i32] = &[libc::EPERM, libc::EACCES, libc::ENOSYS, libc::EROFS];

/// Refused, or there is no such file or device.
pub const REFUSED_OR_ABSENT: &[i32] = &[
    libc::EPERM,
    libc::EACCES,
    libc::ENOSYS,
    libc::EROFS,
    libc::ENOENT,
    libc::ENOTDIR,
    libc::ENXIO,
    libc::ENODEV,
];

pub fn judge<T>(result: io::Result<T>, refusals: &[i32]) -> Outcome {
    match result {
        Ok(_) => leaked("it worked"),
        Err(error)
            if error
                .raw_os_error()
                .is_some_and(|number| refusals.contains(&number)) =>
        {
            blocked(error)
        }
        Err(error) => leaked(format!("the kernel has looked at it: {error}")),
    }
}

/// A raw system call. Arguments are numbers, or addresses of memory that outlives the call.
pub fn call(number: c_long, arguments: &[usize]) -> io::Result<i64> {
    let argument = |index: usize| arguments.get(index).copied().unwrap_or(0);
    // SAFETY: every caller passes numbers, null, or the address of memory that is valid for that call.
    let result = unsafe {
        libc::syscall(
            number,
            argument(0),
            argument(1),
            argument(2),
            argument(3),
            argument(4),
            argument(5),
        )
    };
    answer(result)
}

/// The answer of a C function: -1 is an error.
pub fn answer(result: impl Into<i64>) -> io::Result<i64> {
    match result.into() {
        -1 => Err(io::Error::last_os_error()),
        value => Ok(value),
    }
}

pub fn c(text: &str) -> CString {
    CString::new(text).expect("names and paths hold no NUL")
}

/// The address of a C string as an argument.
pub fn address(text: &CString) -> usize {
    text.as_ptr() as usize
}

pub fn open_to_write(path: &str) -> io::Result<File> {
    // Neither made nor emptied: only whether it could be written.
    OpenOptions::new().write(true).open(path)
}

pub fn writing_is_refused(path: &str) -> Outcome {
    judge(open_to_write(path), REFUSED_OR_ABSENT)
}

pub fn opening_is_refused(path: &str) -> Outcome {
    judge(File::open(path), REFUSED_OR_ABSENT)
}

/// There is nothing to read: absent, refused, or empty.
pub fn nothing_to_read(path: &str) -> Outcome {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return no_entries(path),
        _ => {}
    }
    match fs::read(path) {
        Ok(bytes) if bytes.is_empty() => blocked("empty"),
        Ok(bytes) => leaked(format!("{} bytes can be read", bytes.len())),
        Err(error) => judge(Err::<(), _>(error), REFUSED_OR_ABSENT),
    }
}

fn no_entries(path: &str) -> Outcome {
    match fs::read_dir(path) {
        Err(error) => judge(Err::<(), _>(error), REFUSED_OR_ABSENT),
        Ok(entries) => {
            let names: Vec<_> = entries
                .flatten()
                .map(|entry| entry.file_name())
                .take(10)
                .collect();
            if names.is_empty() {
                blocked("an empty folder")
            } else {
                leaked(format!("it holds {names:?}"))
            }
        }
    }
}

/// Makes a file there and removes it again.
pub fn making_is_refused(folder: &str) -> Outcome {
    match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return skipped("there is no such folder"),
        _ => {}
    }
    let path = format!("{}/probe-made-this", folder.trim_end_matches('/'));
    let made = OpenOptions::new().write(true).create_new(true).open(&path);
    let outcome = judge(made, REFUSED);
    // If it was made it goes again; if not there is nothing to remove.
    let _ = fs::remove_file(&path);
    outcome
}
