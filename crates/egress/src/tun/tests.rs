use std::os::{fd::AsFd, unix::net::UnixStream};

use super::*;
use crate::Addresses;

/// In a network namespace of a thread's own. None: this user may not make one, or not open the device.
fn in_a_namespace<R: Send + 'static>(
    attachment: Attachment,
    work: impl FnOnce() -> R + Send + 'static,
) -> Option<R> {
    if attachment == Attachment::Tun && Attachment::of_this_host() != attachment {
        eprintln!("not tested: {} cannot be opened", DEVICE.to_string_lossy());
        return None;
    }
    std::thread::spawn(move || {
        // SAFETY: changes the network namespace of this thread only.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            eprintln!(
                "not tested: no network namespace can be made: {}",
                std::io::Error::last_os_error()
            );
            return None;
        }
        Some(work())
    })
    .join()
    .unwrap()
}

#[test]
fn the_interface_has_its_addresses_and_routes_after_one_call() {
    for attachment in [Attachment::Tun, Attachment::Veth] {
        let told = in_a_namespace(attachment, move || {
            let device = configure(&prepare(&Addresses::default(), attachment)).unwrap();
            let read = |path: &str| std::fs::read_to_string(format!("/proc/thread-self/net/{path}")).unwrap();
            let routes = (read("route"), read("ipv6_route"), read("if_inet6"));
            drop(device);
            (routes, read("dev"))
        });
        let Some(((v4, v6, addresses), after)) = told else {
            continue;
        };
        // The gateway 192.0.0.1, as the kernel prints it.
        assert!(v4.contains("eth0\t00000000\t010000C0"), "{v4}");
        assert!(v6.contains("fd616b65726e00000000000000000001"), "{v6}");
        assert!(
            addresses.contains("fd616b65726e00000000000000000002"),
            "{addresses}"
        );
        assert!(
            addresses.contains("00000000000000000000000000000001"),
            "the loopback is up: {addresses}"
        );
        assert!(!addresses.contains("gate0"), "the far end has none: {addresses}");
        assert!(!addresses.contains("fe80"), "none is invented: {addresses}");
        // Flags: permanent, not looked for, and above all not tentative.
        assert!(
            addresses.contains(" 40 00 82     eth0"),
            "usable at once: {addresses}"
        );
        let stays = attachment == Attachment::Veth;
        assert_eq!(
            after.contains("eth0"),
            stays,
            "a TUN goes with its descriptor: {after}"
        );
    }
}

#[test]
fn the_descriptor_travels_over_a_socket() {
    let (here, there) = UnixStream::pair().unwrap();
    let file: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    hand_over(there.as_fd(), &file).unwrap();
    let arrived = take_over(here.as_fd()).unwrap();
    let (one, other) = (
        rustix::fs::fstat(&file).unwrap(),
        rustix::fs::fstat(&arrived).unwrap(),
    );
    assert_eq!((one.st_dev, one.st_ino), (other.st_dev, other.st_ino));
    drop(there);
    assert_eq!(take_over(here.as_fd()).unwrap_err(), Errno::CONNRESET);
}
