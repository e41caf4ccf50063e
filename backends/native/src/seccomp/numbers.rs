//! The numbers of the calls: libc's, and those that libc lacks.

#![expect(non_upper_case_globals, reason = "named as in the kernel and in libc")]

pub(super) use libc::*;

// include/uapi/asm-generic/unistd.h and arch/x86/entry/syscalls/syscall_64.tbl of Linux 6.18. All
// architectures give new calls the same number since 5.1.
pub(super) const SYS_cachestat: c_long = 451;
pub(super) const SYS_fchmodat2: c_long = 452;
pub(super) const SYS_map_shadow_stack: c_long = 453;
pub(super) const SYS_futex_wake: c_long = 454;
pub(super) const SYS_futex_wait: c_long = 455;
pub(super) const SYS_futex_requeue: c_long = 456;
pub(super) const SYS_statmount: c_long = 457;
pub(super) const SYS_listmount: c_long = 458;
pub(super) const SYS_lsm_get_self_attr: c_long = 459;
pub(super) const SYS_lsm_set_self_attr: c_long = 460;
pub(super) const SYS_lsm_list_modules: c_long = 461;
pub(super) const SYS_setxattrat: c_long = 463;
pub(super) const SYS_getxattrat: c_long = 464;
pub(super) const SYS_listxattrat: c_long = 465;
pub(super) const SYS_removexattrat: c_long = 466;
pub(super) const SYS_open_tree_attr: c_long = 467;
pub(super) const SYS_file_getattr: c_long = 468;
pub(super) const SYS_file_setattr: c_long = 469;

#[cfg(target_arch = "x86_64")]
mod own {
    use libc::c_long;

    // arch/x86/entry/syscalls/syscall_64.tbl
    pub(in crate::seccomp) const SYS_io_pgetevents: c_long = 333;
    pub(in crate::seccomp) const SYS_uretprobe: c_long = 335;
    pub(in crate::seccomp) const SYS_uprobe: c_long = 336;
}

#[cfg(target_arch = "aarch64")]
mod own {
    use libc::c_long;

    // include/uapi/asm-generic/unistd.h
    pub(in crate::seccomp) const SYS_renameat: c_long = 38;
    pub(in crate::seccomp) const SYS_sync_file_range: c_long = 84;
    pub(in crate::seccomp) const SYS_getrlimit: c_long = 163;
    pub(in crate::seccomp) const SYS_setrlimit: c_long = 164;
    pub(in crate::seccomp) const SYS_io_pgetevents: c_long = 292;
}

pub(super) use own::*;
