//! What one attempt is, how it is made, and how its result is judged.

use std::{ffi::CString, io::Read as _, os::fd::AsRawFd as _, path::Path};

/// What was seen.
#[derive(Clone, Debug)]
pub enum Outcome {
    Blocked(String),
    Leaked(String),
    /// There is nothing to try here.
    Skipped(String),
}

pub use Outcome::{Blocked, Leaked, Skipped};

pub struct Probe {
    pub class: &'static str,
    pub name: String,
    pub run: Box<dyn Fn() -> Outcome>,
}

pub fn probe(class: &'static str, name: impl Into<String>, run: impl Fn() -> Outcome + 'static) -> Probe {
    Probe {
        class,
        name: name.into(),
        run: Box::new(run),
    }
}

/// Errors by which a wall answers. Others (EFAULT, EINVAL, EBADF) mean that the kernel has looked.
pub const REFUSALS: &[i32] = &[libc::EPERM, libc::EACCES, libc::ENOSYS];

/// A raw call. The error is the errno.
pub fn call(number: i64, arguments: &[u64]) -> Result<i64, i32> {
    let mut six = [0u64; 6];
    six[..arguments.len()].copy_from_slice(arguments);
    let [a, b, c, d, e, f] = six;
    // SAFETY: every attempt passes pointers to its own memory, or none; what they do is up to the kernel.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if answer < 0 { Err(errno()) } else { Ok(answer) }
}

pub fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Blocked if the call fails with one of these errors.
pub fn refused_with(answer: Result<i64, i32>, errors: &[i32]) -> Outcome {
    match answer {
        Ok(value) => Leaked(format!("returned {value}")),
        Err(error) if errors.contains(&error) => Blocked(text_of(error)),
        Err(error) => Leaked(format!("got past the walls: {}", text_of(error))),
    }
}

pub fn refused(answer: Result<i64, i32>) -> Outcome {
    refused_with(answer, REFUSALS)
}

/// Blocked if it fails at all.
pub fn failed<T>(answer: std::io::Result<T>, success: &str) -> Outcome {
    match answer {
        Ok(_) => Leaked(success.to_owned()),
        Err(error) => Blocked(error.to_string()),
    }
}

pub fn text_of(error: i32) -> String {
    std::io::Error::from_raw_os_error(error).to_string()
}

pub fn c(text: &str) -> CString {
    CString::new(text).expect("no NUL in a constant")
}

/// Blocked if the file cannot be opened for reading, or has nothing in it.
pub fn unreadable(path: impl AsRef<Path>) -> Outcome {
    let mut start = [0u8; 64];
    match std::fs::File::open(path.as_ref()).and_then(|mut file| file.read(&mut start)) {
        Ok(0) => Blocked("empty".to_owned()),
        Ok(length) => Leaked(format!("read {:?}", String::from_utf8_lossy(&start[..length]))),
        Err(error) => Blocked(error.to_string()),
    }
}

/// Blocked if the file cannot be opened for writing. Nothing is written. /dev/null behind it, as a cover,
/// takes and forgets.
pub fn unwritable(path: impl AsRef<Path>) -> Outcome {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    match std::fs::OpenOptions::new().write(true).open(path.as_ref()) {
        Err(error) => Blocked(error.to_string()),
        Ok(file) => match file.metadata() {
            Ok(meta) if meta.file_type().is_char_device() && meta.rdev() == libc::makedev(1, 3) => {
                Blocked("covered".to_owned())
            }
            _ => Leaked("opened for writing".to_owned()),
        },
    }
}

/// Runs one attempt in a child of its own, so that it may be killed, hang or change its process.
pub fn in_child(probe: &Probe) -> Outcome {
    const PATIENCE_SECONDS: u32 = 30;
    let Ok((mut reader, writer)) = std::io::pipe() else {
        return Leaked("no pipe".to_owned());
    };
    // SAFETY: this program has one thread.
    let child = unsafe { libc::fork() };
    if child < 0 {
        return Skipped(format!("no child: {}", text_of(errno())));
    }
    if child == 0 {
        drop(reader);
        // SAFETY: ends this child if the attempt hangs.
        unsafe { libc::alarm(PATIENCE_SECONDS) };
        let (kind, detail) = match (probe.run)() {
            Blocked(detail) => ('b', detail),
            Leaked(detail) => ('l', detail),
            Skipped(detail) => ('s', detail),
        };
        let message = format!("{kind}{detail}");
        // SAFETY: the message is there until the process ends, which is at once.
        unsafe {
            libc::write(writer.as_raw_fd(), message.as_ptr().cast(), message.len());
            libc::_exit(0);
        }
    }
    drop(writer);
    let mut message = String::new();
    let _ = reader.read_to_string(&mut message);
    let mut status = 0;
    // SAFETY: our child, our variable.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    match message.split_at_checked(1) {
        Some(("b", detail)) => Blocked(detail.to_owned()),
        Some(("s", detail)) => Skipped(detail.to_owned()),
        Some((_, detail)) => Leaked(detail.to_owned()),
        None if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGSYS => {
            Blocked("killed by the filter".to_owned())
        }
        None => Leaked(format!("the attempt ended with status {status:#x}")),
    }
}
