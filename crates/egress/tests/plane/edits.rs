//! The policy changes while the sandbox runs.

use std::io::{ErrorKind, Read, Write};

use agentkernel_types::{Attempt, NetworkEventKind};

use crate::{
    world::{OTHER, SERVER, World, allowlist, echo, open, public},
    world_or_return,
};

fn say(stream: &mut std::net::TcpStream) -> std::io::Result<()> {
    stream.write_all(b"\0\x01")?;
    stream.read_exact(&mut [0; 2])
}

fn pinned(world: &World) -> std::net::TcpStream {
    world.resolve("good.test").unwrap();
    world.connect(format!("{SERVER}:7").parse().unwrap()).unwrap()
}

#[test]
fn a_connection_that_the_new_policy_denies_is_cut_when_the_edit_returns() {
    let mut world = world_or_return!(allowlist(&["good.test:7", "other.test:7"]));
    world.names.set("good.test", &[SERVER]);
    world.names.set("other.test", &[OTHER]);
    world.serve(SERVER, 7, echo);
    world.serve(OTHER, 7, echo);
    let mut stream = pinned(&world);
    say(&mut stream).unwrap();
    world.resolve("other.test").unwrap();
    let mut kept = world.connect(format!("{OTHER}:7").parse().unwrap()).unwrap();
    world.apply(&allowlist(&["other.test:7"]));
    let error = say(&mut stream).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "{error}"
    );
    say(&mut kept).expect("the other one is not touched");
    let event = world.wait_for(|event| matches!(event, NetworkEventKind::Denied(_)));
    let NetworkEventKind::Denied(denial) = event else {
        unreachable!()
    };
    assert_eq!(denial.attempt, Attempt::Existing);
}

#[test]
fn one_of_two_names_of_an_address_can_be_taken_away() {
    let world = world_or_return!(allowlist(&["good.test:7", "other.test:7"]));
    world.names.set("good.test", &[SERVER]);
    world.names.set("other.test", &[SERVER]);
    world.serve(SERVER, 7, echo);
    world.resolve("other.test").unwrap();
    let mut stream = pinned(&world);
    say(&mut stream).unwrap();
    world.apply(&allowlist(&["other.test:7"]));
    assert!(
        say(&mut stream).is_err(),
        "it may have been for the name that is gone"
    );
    say(&mut world.connect(format!("{SERVER}:7").parse().unwrap()).unwrap()).unwrap();
}

#[test]
fn an_allowance_works_at_once_and_nothing_else_is_cut() {
    let world = world_or_return!(allowlist(&["good.test:7"]));
    world.names.set("good.test", &[SERVER]);
    world.names.set("other.test", &[OTHER]);
    world.serve(SERVER, 7, echo);
    world.serve(OTHER, 7, echo);
    let mut stream = pinned(&world);
    assert!(world.resolve("other.test").is_err());
    world.apply(&allowlist(&["good.test:7", "other.test:7"]));
    world.resolve("other.test").unwrap();
    say(&mut world.connect(format!("{OTHER}:7").parse().unwrap()).unwrap()).unwrap();
    say(&mut stream).unwrap();
}

#[test]
fn datagrams_stop_with_their_allowance() {
    let world = world_or_return!(open());
    let arrived = world.trap(SERVER, 9);
    let socket = world.sandbox.run(|| {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.connect((SERVER, 9)).unwrap();
        socket
    });
    socket.send(b"one").unwrap();
    let begin = std::time::Instant::now();
    while arrived.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        assert!(begin.elapsed().as_secs() < 20, "the first datagram arrives");
        std::thread::yield_now();
    }
    let before = arrived.load(std::sync::atomic::Ordering::SeqCst);
    world.apply(&allowlist(&["good.test"]));
    for _ in 0..20 {
        let _ = socket.send(b"more");
    }
    // Answered only after everything before it was handled.
    let _ = world.resolve("good.test");
    assert_eq!(arrived.load(std::sync::atomic::Ordering::SeqCst), before);
}

fn ask(stream: &mut std::net::TcpStream, host: &str) -> std::io::Result<()> {
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    stream.read_exact(&mut vec![0; request.len()])
}

#[test]
fn the_next_request_of_a_kept_connection_is_judged_by_the_new_policy() {
    let world = world_or_return!(public());
    let mut before = public();
    before.deny = vec!["evil.test".parse().unwrap()];
    world.apply(&before);
    let to = world.serve(SERVER, 80, echo);
    let mut stream = world.connect(to).unwrap();
    ask(&mut stream, "good.test").unwrap();
    ask(&mut stream, "other.test").unwrap();
    ask(&mut stream, "good.test").unwrap();
    let mut after = public();
    after.deny = vec!["evil.test".parse().unwrap(), "other.test".parse().unwrap()];
    world.apply(&after);
    ask(&mut stream, "good.test").expect("it is not touched");
    assert!(ask(&mut stream, "other.test").is_err());
}

#[test]
fn what_a_connection_said_it_is_for_is_judged_again() {
    let mut world = world_or_return!(public());
    let deny = |name: &str| {
        let mut policy = public();
        policy.deny = vec!["never.test".parse().unwrap(), name.parse().unwrap()];
        policy
    };
    world.apply(&deny("evil.test"));
    let to = world.serve(SERVER, 80, echo);
    let mut stream = world.connect(to).unwrap();
    ask(&mut stream, "good.test").unwrap();
    world.apply(&deny("good.test"));
    assert!(say(&mut stream).is_err(), "its name is denied now");
    world.wait_for(
        |event| matches!(event, NetworkEventKind::Denied(denial) if denial.attempt == Attempt::Existing),
    );
}

#[test]
fn a_connection_that_nobody_looked_at_ends_when_names_begin_to_count() {
    let world = world_or_return!(public());
    let to = world.serve(SERVER, 80, echo);
    let (mut used, mut fresh) = (world.connect(to).unwrap(), world.connect(to).unwrap());
    ask(&mut used, "evil.test").unwrap();
    let mut after = public();
    after.deny = vec!["evil.test".parse().unwrap()];
    world.apply(&after);
    assert!(ask(&mut used, "good.test").is_err(), "it may be for anybody");
    ask(&mut fresh, "good.test").expect("it had said nothing yet");
    assert!(ask(&mut fresh, "evil.test").is_err());
}
