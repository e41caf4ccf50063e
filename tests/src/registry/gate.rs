//! A way to a registry that counts, slows down and breaks off: what a bad network does, at will.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// Passes bytes to and from one address. Ends with its value.
pub struct Gate {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    target: SocketAddr,
    closed: AtomicBool,
    /// Bytes that came from the registry.
    delivered: AtomicU64,
    /// Bytes a second and connection.
    rate: AtomicU64,
    /// The next connections that carry so many bytes break, as long as there are breaks left.
    cut_after: AtomicU64,
    cuts: AtomicU64,
}

impl Gate {
    pub fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Arc::new(State {
            target,
            closed: AtomicBool::new(false),
            delivered: AtomicU64::new(0),
            rate: AtomicU64::new(u64::MAX),
            cut_after: AtomicU64::new(u64::MAX),
            cuts: AtomicU64::new(0),
        });
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.closed.load(Ordering::Relaxed) {
                    return;
                }
                let state = shared.clone();
                thread::spawn(move || pass(&state, client));
            }
        });
        Self { address, state }
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Lets through at most so many bytes a second, each way that leads from the registry.
    pub fn slow(self, bytes_a_second: u64) -> Self {
        self.state.rate.store(bytes_a_second, Ordering::Relaxed);
        self
    }

    /// Breaks the next `times` connections that have carried so many bytes from the registry.
    pub fn cut(self, after: u64, times: u64) -> Self {
        self.state.cut_after.store(after, Ordering::Relaxed);
        self.state.cuts.store(times, Ordering::Relaxed);
        self
    }

    /// Bytes that have come from the registry so far.
    pub fn delivered(&self) -> u64 {
        self.state.delivered.load(Ordering::Relaxed)
    }

    /// How many connections may still break.
    pub fn cuts_left(&self) -> u64 {
        self.state.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::Relaxed);
        // Wakes the listener, which sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

fn pass(state: &State, client: TcpStream) {
    let Ok(server) = TcpStream::connect(state.target) else {
        return;
    };
    let copy = |stream: &TcpStream| stream.try_clone().expect("a socket can be copied");
    let (mut from_client, mut to_server) = (copy(&client), copy(&server));
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    deliver(state, server, &client);
    let _ = client.shutdown(Shutdown::Both);
}

fn deliver(state: &State, mut server: TcpStream, mut client: &TcpStream) {
    let mut buffer = vec![0; 16 << 10];
    let mut carried = 0;
    while let Ok(count @ 1..) = server.read(&mut buffer) {
        if client.write_all(&buffer[..count]).is_err() {
            break;
        }
        let count = count as u64;
        state.delivered.fetch_add(count, Ordering::Relaxed);
        carried += count;
        if carried >= state.cut_after.load(Ordering::Relaxed) && take_one(&state.cuts) {
            break;
        }
        let rate = state.rate.load(Ordering::Relaxed);
        if rate != u64::MAX {
            thread::sleep(Duration::from_secs_f64(count as f64 / rate as f64));
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

fn take_one(left: &AtomicU64) -> bool {
    let less = |left: u64| left.checked_sub(1);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        .is_ok()
}
