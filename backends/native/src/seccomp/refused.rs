//! Calls that are refused whatever their arguments are, by name, so that the list is complete and each has a
//! reason and the error that programs take best.

use super::rule::{Decision, Group, Verdict, calls};

const fn refused(errno: i32, reason: &'static str, calls: &'static [(&'static str, libc::c_long)]) -> Group {
    Group {
        decision: Decision::Always(Verdict::Refuse(errno)),
        reason,
        calls,
    }
}

#[cfg(target_arch = "x86_64")]
const SEGMENTS_AND_PORTS: &[(&str, libc::c_long)] = calls! { SYS_ioperm SYS_iopl SYS_modify_ldt };
#[cfg(not(target_arch = "x86_64"))]
const SEGMENTS_AND_PORTS: &[(&str, libc::c_long)] = &[];

#[cfg(target_arch = "x86_64")]
const OBSOLETE: &[(&str, libc::c_long)] = calls! {
    SYS__sysctl SYS_afs_syscall SYS_epoll_ctl_old SYS_epoll_wait_old SYS_get_thread_area SYS_getpmsg
    SYS_lookup_dcookie SYS_nfsservctl SYS_putpmsg SYS_security SYS_set_thread_area SYS_sysfs SYS_tuxcall
    SYS_uselib SYS_ustat SYS_vserver
};
#[cfg(not(target_arch = "x86_64"))]
const OBSOLETE: &[(&str, libc::c_long)] = calls! { SYS_lookup_dcookie SYS_nfsservctl };

pub(super) const GROUPS: &[Group] = &[
    refused(
        libc::EPERM,
        "the root is finished before the first program runs",
        calls! {
            SYS_chroot SYS_fsconfig SYS_fsmount SYS_fsopen SYS_fspick SYS_mount SYS_mount_setattr SYS_move_mount
            SYS_open_tree SYS_open_tree_attr SYS_pivot_root SYS_umount2
        },
    ),
    refused(libc::EPERM, "enters a namespace", calls! { SYS_setns }),
    refused(
        libc::ENOSYS,
        "its flags lie in memory, where a filter cannot look; C libraries fall back to clone",
        calls! { SYS_clone3 },
    ),
    refused(libc::EPERM, "a program in the kernel", calls! { SYS_bpf }),
    refused(
        libc::EPERM,
        "calls that no filter sees; many holes so far",
        calls! {
            SYS_io_uring_enter SYS_io_uring_register SYS_io_uring_setup
        },
    ),
    refused(
        libc::EPERM,
        "stops the kernel in the middle of a copy: makes races of its bugs winnable",
        calls! {
            SYS_userfaultfd
        },
    ),
    refused(
        libc::EPERM,
        "large, many holes so far; shows what others do",
        calls! { SYS_perf_event_open },
    ),
    refused(
        libc::EPERM,
        "keyrings do not belong to a sandbox",
        calls! {
            SYS_add_key SYS_keyctl SYS_request_key
        },
    ),
    refused(
        libc::EPERM,
        "sees what others do to files",
        calls! { SYS_fanotify_init SYS_fanotify_mark },
    ),
    refused(
        libc::EOPNOTSUPP,
        "names a file past every folder; as on a file system without handles",
        calls! {
            SYS_name_to_handle_at
        },
    ),
    refused(
        libc::EPERM,
        "opens a file past the root: an old way out of containers",
        calls! {
            SYS_open_by_handle_at
        },
    ),
    refused(
        libc::EPERM,
        "takes a descriptor of another process; tells where the kernel keeps things",
        calls! {
            SYS_kcmp SYS_pidfd_getfd
        },
    ),
    refused(
        libc::EPERM,
        "moves memory of processes between nodes",
        calls! { SYS_migrate_pages SYS_move_pages },
    ),
    refused(
        libc::ENOSYS,
        "memory that the host cannot look at",
        calls! { SYS_memfd_secret },
    ),
    refused(
        libc::ENOSYS,
        "tells about mounts; programs fall back to /proc/self/mountinfo",
        calls! {
            SYS_listmount SYS_statmount
        },
    ),
    refused(
        libc::ENOSYS,
        "security modules of the host",
        calls! {
            SYS_lsm_get_self_attr SYS_lsm_list_modules SYS_lsm_set_self_attr
        },
    ),
    refused(
        libc::EPERM,
        "the kernel itself",
        calls! {
            SYS_delete_module SYS_finit_module SYS_init_module SYS_kexec_file_load SYS_kexec_load SYS_reboot
            SYS_syslog
        },
    ),
    refused(
        libc::EPERM,
        "administration of the machine",
        calls! {
            SYS_acct SYS_quotactl SYS_quotactl_fd SYS_setdomainname SYS_sethostname SYS_swapoff SYS_swapon
            SYS_vhangup
        },
    ),
    refused(
        libc::EPERM,
        "the clock of the machine",
        calls! {
            SYS_adjtimex SYS_clock_adjtime SYS_clock_settime SYS_settimeofday
        },
    ),
    refused(
        libc::EPERM,
        "16-bit segments, ports of devices: old bugs, no use",
        SEGMENTS_AND_PORTS,
    ),
    refused(
        libc::ENOSYS,
        "obsolete: gone, or never there, in newer kernels",
        OBSOLETE,
    ),
];
