//! Names: who may be looked up, what is answered, and what an answer allows.

use std::io::{Read, Write};

use agentkernel_types::{Attempt, NetworkEventKind};
use domain::base::{Message, Rtype, iana::Rcode};

use crate::{
    world::{
        HOST_LAN, METADATA, NEIGHBOUR, OTHER, SERVER, SERVER_V6, World, allowlist, echo, names, open, public,
    },
    world_or_return,
};

fn code_and_count(world: &World, name: &str, rtype: Rtype) -> (Rcode, u16) {
    let question = names::question(name, rtype);
    let answer = Message::from_octets(world.sandbox.run(move || names::exchange(&question))).unwrap();
    (answer.header().rcode(), answer.header_counts().ancount())
}

#[test]
fn an_allowed_name_is_answered_and_its_address_can_be_reached() {
    let world = world_or_return!(allowlist(&["good.test:7"]));
    world.names.set("good.test", &[SERVER, SERVER_V6]);
    let to = world.serve(SERVER, 7, echo);
    assert!(world.connect(to).is_err(), "nobody has looked the name up yet");
    let addresses = world.resolve("good.test").unwrap();
    assert_eq!(
        addresses,
        [
            SERVER.parse::<std::net::IpAddr>().unwrap(),
            SERVER_V6.parse().unwrap()
        ]
    );
    let mut stream = world.connect(to).unwrap();
    stream.write_all(b"x\r\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"x\r\n");
}

#[test]
fn a_name_that_no_rule_allows_does_not_exist_and_nobody_is_asked() {
    let mut world = world_or_return!(allowlist(&["good.test"]));
    world.names.set("evil.test", &[OTHER]);
    assert_eq!(world.resolve("evil.test").unwrap_err(), "NXDOMAIN");
    assert!(world.names.asked.lock().unwrap().is_empty());
    let event = world.wait_for(|event| matches!(event, NetworkEventKind::Denied(_)));
    let NetworkEventKind::Denied(denial) = event else {
        unreachable!()
    };
    assert_eq!(denial.attempt, Attempt::Lookup);
    assert_eq!(denial.name.unwrap().as_str(), "evil.test");
    assert!(denial.remedy.unwrap().contains("evil.test"));
}

#[test]
fn an_answer_with_an_address_that_the_name_must_not_have_loses_it() {
    let world = world_or_return!(public());
    for bad in [
        NEIGHBOUR,
        METADATA,
        HOST_LAN,
        "127.0.0.1",
        "::1",
        "::ffff:10.1.2.3",
        "64:ff9b::a9fe:a9fe",
        "fe80::1",
    ] {
        let name = "rebind.test";
        world.names.set(name, &[bad]);
        world.resolve(name).unwrap();
        let fresh = format!("x{}.test", bad.replace([':', '.'], "-"));
        world.names.set(&fresh, &[bad, SERVER]);
        assert_eq!(
            world.resolve(&fresh).unwrap(),
            [SERVER.parse::<std::net::IpAddr>().unwrap()],
            "{bad}"
        );
    }
}

#[test]
fn an_alias_is_followed_and_the_asked_name_is_the_one_that_counts() {
    let world = world_or_return!(allowlist(&["alias.test:7"]));
    world.names.set("alias.test", &[SERVER]);
    assert_eq!(world.resolve("alias.test").unwrap().len(), 1);
    let to = world.serve(SERVER, 7, echo);
    world.connect(to).unwrap();
    assert_eq!(world.resolve("elsewhere.test").unwrap_err(), "NXDOMAIN");
}

#[test]
fn allowlist_answers_addresses_and_nothing_else() {
    let world = world_or_return!(allowlist(&["good.test"]));
    world.names.set("good.test", &[SERVER]);
    assert_eq!(code_and_count(&world, "good.test", Rtype::A), (Rcode::NOERROR, 1));
    for rtype in [
        Rtype::TXT,
        Rtype::MX,
        Rtype::HTTPS,
        Rtype::SVCB,
        Rtype::SRV,
        Rtype::NAPTR,
    ] {
        assert_eq!(
            code_and_count(&world, "good.test", rtype),
            (Rcode::NOERROR, 0),
            "{rtype}"
        );
    }
    assert_eq!(
        code_and_count(&world, "good.test", Rtype::ANY),
        (Rcode::REFUSED, 0)
    );
    assert_eq!(
        code_and_count(&world, "good.test", Rtype::AXFR),
        (Rcode::REFUSED, 0)
    );
}

#[test]
fn public_answers_other_types_but_no_parameters_of_services() {
    let world = world_or_return!(public());
    world.names.set("good.test", &[SERVER]);
    assert_eq!(
        code_and_count(&world, "good.test", Rtype::TXT),
        (Rcode::NOERROR, 1)
    );
    assert_eq!(
        code_and_count(&world, "good.test", Rtype::HTTPS),
        (Rcode::NOERROR, 0)
    );
}

#[test]
fn a_long_answer_is_fetched_and_given_by_tcp() {
    let world = world_or_return!(open());
    let many: Vec<String> = (1..=200).map(|last| format!("93.184.216.{last}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    world.names.set("many.test", &many);
    let question = names::question("many.test", Rtype::A);
    let short = world.sandbox.run(move || names::exchange(&question));
    assert!(
        Message::from_octets(short).unwrap().header().tc(),
        "it does not fit"
    );
    let mut stream = world.connect("192.0.0.1:53".parse().unwrap()).unwrap();
    let question = names::question("many.test", Rtype::A);
    stream.write_all(&(question.len() as u16).to_be_bytes()).unwrap();
    stream.write_all(&question).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(
        Message::from_octets(answer).unwrap().header_counts().ancount(),
        200
    );
}

#[test]
fn local_names_are_answered_without_asking_anybody() {
    let world = world_or_return!(allowlist(&["host:11434"]));
    assert_eq!(world.resolve("localhost").unwrap().len(), 2);
    let gateway = world.resolve("host.agentkernel.internal").unwrap();
    assert_eq!(gateway[0].to_string(), "192.0.0.1");
    assert!(world.names.asked.lock().unwrap().is_empty());
    world.serve("127.0.0.1", 11434, echo);
    world.serve("127.0.0.1", 11435, echo);
    let mut stream = world.connect("192.0.0.1:11434".parse().unwrap()).unwrap();
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    assert!(world.connect("192.0.0.1:11435".parse().unwrap()).is_err());
}

#[test]
fn nonsense_is_answered_with_an_error_or_not_at_all() {
    let world = world_or_return!(open());
    let mut two_questions = names::question("a.test", Rtype::A);
    two_questions[5] = 2;
    let mut update = names::question("a.test", Rtype::A);
    update[2] |= 5 << 3;
    for (bytes, code) in [(two_questions, Rcode::FORMERR), (update, Rcode::NOTIMP)] {
        let answer = world.sandbox.run(move || names::exchange(&bytes));
        assert_eq!(Message::from_octets(answer).unwrap().header().rcode(), code);
    }
    assert_eq!(
        world.resolve("dropped.after.this").unwrap_err(),
        "NXDOMAIN",
        "it still answers"
    );
}
