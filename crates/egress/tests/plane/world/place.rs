//! A thread in a network namespace of its own, that does what it is told.

use std::{net::IpAddr, os::fd::AsRawFd, sync::mpsc};

type Work = Box<dyn FnOnce() + Send>;

pub struct Place {
    work: mpsc::Sender<Work>,
}

impl Place {
    /// None, and the reason is printed: it cannot be made here.
    pub fn new() -> Option<Self> {
        let (work, incoming) = mpsc::channel::<Work>();
        let (told, made) = mpsc::channel();
        std::thread::spawn(move || {
            // SAFETY: changes the network namespace of this thread only.
            let unshared = unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0;
            if !unshared {
                let why = std::io::Error::last_os_error();
                eprintln!("not tested: no network namespace can be made here: {why}");
            }
            told.send(unshared).unwrap();
            for work in incoming {
                work();
            }
        });
        made.recv().unwrap().then_some(Self { work })
    }

    /// In the namespace. Threads that are started there are in it as well.
    pub fn run<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> R {
        let (done, result) = mpsc::channel();
        self.work.send(Box::new(move || drop(done.send(work())))).unwrap();
        result.recv().expect("the work did not panic")
    }
}

#[repr(C)]
struct Request {
    name: [u8; 16],
    value: [u8; 24],
}

fn request(name: &str, value: &[u8]) -> Request {
    let mut request = Request {
        name: [0; 16],
        value: [0; 24],
    };
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    request.value[..value.len()].copy_from_slice(value);
    request
}

/// Brings the loopback up and gives it the addresses.
pub fn bring_up(addresses: &[&str]) {
    let four = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let up = request("lo", &((libc::IFF_UP | libc::IFF_RUNNING) as u16).to_ne_bytes());
    call(four.as_raw_fd(), 0x8914, &up);
    for (number, address) in addresses.iter().enumerate() {
        match address.parse().unwrap() {
            IpAddr::V4(address) => {
                let mut value = [0; 16];
                value[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
                value[4..8].copy_from_slice(&address.octets());
                call(
                    four.as_raw_fd(),
                    0x8916,
                    &request(&format!("lo:{number}"), &value),
                );
                value[4..8].copy_from_slice(&[255; 4]);
                call(
                    four.as_raw_fd(),
                    0x891c,
                    &request(&format!("lo:{number}"), &value),
                );
            }
            IpAddr::V6(address) => {
                let six = std::net::UdpSocket::bind("[::]:0").unwrap();
                let request = libc::in6_ifreq {
                    ifr6_addr: libc::in6_addr {
                        s6_addr: address.octets(),
                    },
                    ifr6_prefixlen: 128,
                    ifr6_ifindex: 1,
                };
                call(six.as_raw_fd(), 0x8916, &request);
            }
        }
    }
}

fn call<T>(socket: i32, number: libc::Ioctl, request: &T) {
    // SAFETY: each request has the type that its number stands for.
    let result = unsafe { libc::ioctl(socket, number, std::ptr::from_ref(request)) };
    assert!(
        result >= 0,
        "ioctl {number:#x}: {}",
        std::io::Error::last_os_error()
    );
}
