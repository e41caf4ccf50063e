//! The system calls that have no wrapper elsewhere. Nothing here allocates: the child of `clone3` uses it.

use std::{ffi::CStr, io, os::fd::RawFd};

use rustix::io::Errno;

pub(crate) type SysResult<T> = Result<T, Errno>;

/// `mount_setattr(2)` attributes (linux/mount.h).
pub(crate) mod attribute {
    pub(crate) const READ_ONLY: u64 = 0x1;
    pub(crate) const NO_SUID: u64 = 0x2;
    pub(crate) const NO_DEV: u64 = 0x4;
    pub(crate) const NO_EXEC: u64 = 0x8;
    pub(crate) const ID_MAP: u64 = 0x0010_0000;
}

#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

#[repr(C)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// linux/sched.h. libc's constant of this name is 32 bits wide, too few.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What `clone3` returned, on its two sides.
pub(crate) enum Cloned {
    Parent { pid: i32, pidfd: RawFd },
    Child,
}

fn check(result: libc::c_long) -> SysResult<libc::c_long> {
    if result < 0 {
        let code = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
        return Err(Errno::from_raw_os_error(code));
    }
    Ok(result)
}

/// Makes a child with a copy of this process's memory.
///
/// # Safety
/// The child may only make system calls on memory that was prepared before, and must end by `execveat` or
/// `_exit`: another thread of this process may have held any lock (the allocator's, say) at this moment.
pub(crate) unsafe fn clone3(flags: u64, cgroup: Option<RawFd>) -> SysResult<Cloned> {
    let mut pidfd: RawFd = -1;
    let arguments = CloneArguments {
        flags: flags | libc::CLONE_PIDFD as u64 | if cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 },
        pidfd: &raw mut pidfd as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: cgroup.unwrap_or(0) as u64,
    };
    // SAFETY: the arguments live until the call returns and their size is passed; the caller keeps the rules above.
    let result = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const arguments,
            size_of::<CloneArguments>(),
        )
    };
    match check(result)? {
        0 => Ok(Cloned::Child),
        pid => Ok(Cloned::Parent {
            pid: pid as i32,
            pidfd,
        }),
    }
}

pub(crate) fn mount_setattr(
    fd: RawFd,
    recursive: bool,
    set: u64,
    user_namespace: Option<RawFd>,
) -> SysResult<()> {
    let attributes = MountAttributes {
        set: set
            | if user_namespace.is_some() {
                attribute::ID_MAP
            } else {
                0
            },
        clear: 0,
        propagation: 0,
        user_namespace: user_namespace.unwrap_or(0) as u64,
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a constant with NUL, the attributes live until the call returns.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd,
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    })?;
    Ok(())
}

pub(crate) fn pivot_root_here() -> SysResult<()> {
    // SAFETY: both arguments are constants with NUL.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) })?;
    Ok(())
}

pub(crate) fn set_resource_limit(resource: u32, limit: u64) -> SysResult<()> {
    let value = libc::rlimit64 {
        rlim_cur: limit,
        rlim_max: limit,
    };
    // SAFETY: the new value lives until the call returns; no old value is asked for.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, &raw const value, 0) })?;
    Ok(())
}

pub(crate) fn prctl(option: i32, second: u64, third: u64, fourth: u64) -> SysResult<()> {
    // SAFETY: only called with options whose arguments are numbers.
    check(unsafe { libc::syscall(libc::SYS_prctl, option, second, third, fourth, 0u64) })?;
    Ok(())
}

/// An own, empty session keyring: the caller's keys are not inherited.
pub(crate) fn join_new_session_keyring() -> SysResult<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name asks for an anonymous keyring.
    check(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0usize) })?;
    Ok(())
}

/// Empties the effective, permitted and inheritable capability sets of this thread.
pub(crate) fn clear_capabilities() -> SysResult<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let data = [0u32; 6];
    // SAFETY: version 3 takes two data structures of three words each; both arguments live until the call returns.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) })?;
    Ok(())
}

pub(crate) fn install_seccomp(program: &[libc::sock_filter]) -> SysResult<()> {
    const SECCOMP_SET_MODE_FILTER: libc::c_ulong = 1;
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies the program during the call and does not write to it.
    check(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            SECCOMP_SET_MODE_FILTER,
            0u64,
            &raw const program,
        )
    })?;
    Ok(())
}

pub(crate) fn set_groups_empty() -> SysResult<()> {
    // SAFETY: no list is read when its length is 0.
    check(unsafe { libc::syscall(libc::SYS_setgroups, 0usize, 0usize) })?;
    Ok(())
}

pub(crate) fn set_ids(uid: u32, gid: u32) -> SysResult<()> {
    // SAFETY: numbers only. The raw calls change this thread alone, which is all there is of the child.
    unsafe {
        check(libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
        check(libc::syscall(libc::SYS_setresuid, uid, uid, uid))?;
    }
    Ok(())
}

/// Marks every descriptor from `first` on to be closed at the next exec.
pub(crate) fn close_on_exec_from(first: u32) -> SysResult<()> {
    const CLOSE_RANGE_CLOEXEC: u32 = 4;
    // SAFETY: numbers only.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) })?;
    Ok(())
}

/// Replaces the program by the one that `file` holds. Returns only on failure.
pub(crate) fn execute(file: RawFd, argument: &CStr) -> Errno {
    let argv = [argument.as_ptr(), std::ptr::null()];
    let environment = [std::ptr::null::<libc::c_char>()];
    // SAFETY: both arrays end with null and live until the call returns, which it does only on failure.
    let result = unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file,
            c"".as_ptr(),
            argv.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    check(result).err().unwrap_or(Errno::IO)
}

pub(crate) fn bring_up_loopback() -> SysResult<()> {
    // struct ifreq: 16 bytes of name, then the flags as a short.
    let mut request = [0u8; 40];
    request[..2].copy_from_slice(b"lo");
    let flags = (libc::IFF_UP | libc::IFF_RUNNING) as u16;
    request[16..18].copy_from_slice(&flags.to_ne_bytes());
    // SAFETY: a datagram socket for the ioctl, which reads the 40 bytes of the request, and its close.
    unsafe {
        let socket = check(libc::syscall(
            libc::SYS_socket,
            libc::AF_INET,
            libc::SOCK_DGRAM | libc::SOCK_CLOEXEC,
            0,
        ))?;
        let result = check(libc::syscall(
            libc::SYS_ioctl,
            socket,
            libc::SIOCSIFFLAGS,
            request.as_ptr(),
        ));
        libc::syscall(libc::SYS_close, socket);
        result?;
    }
    Ok(())
}

pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process without running anything of the copied runtime.
    unsafe { libc::_exit(code) }
}
