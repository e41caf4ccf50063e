//! The way out, where policies are declared: a server of the host stands for the world.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use agentkernel_backend::Sandbox;
use agentkernel_types::{
    Capabilities, NetworkEventKind, NetworkMode, NetworkPolicy, NetworkRule, PublishedPort, TimedPolicy,
};

use crate::{
    Program, Scene, Verdict,
    scene::{check, equal},
};

list! {
    has_allowlist => an_allowlist_reaches_nothing_that_it_does_not_name,
    has_allowlist => an_allowlist_reaches_what_it_names,
    has_allowlist => a_denial_wins_over_an_allowance,
    |has| has_allowlist(has) && has.network_edits => an_edit_is_in_force_when_it_returns,
    |has| has_allowlist(has) && has.network_edits => a_refusal_is_told_with_the_way_out,
    |has| has_allowlist(has) && has.network_edits && has.kept => an_edit_is_seen_by_others,
    |has| has_allowlist(has) && has.publish_ports => a_published_port_is_open_until_it_is_closed,
    |has| has_allowlist(has) && has.publish_ports => a_published_port_closes_with_its_sandbox,
}

fn has_allowlist(has: &Capabilities) -> bool {
    has.networks.contains(&NetworkMode::Allowlist)
}

const GREETING: &[u8] = b"hello from the host\n";

/// A server on the host's loopback. Returns its port.
fn server() -> Verdict<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // A guest that has gone has nothing to be told.
            let _ = stream.write_all(GREETING);
        }
    });
    Ok(port)
}

fn rule(port: u16) -> NetworkRule {
    let rule = format!("host:{port}");
    rule.parse().expect("a port of the host is a rule")
}

fn allowing(rules: &[NetworkRule]) -> TimedPolicy {
    NetworkPolicy {
        allow: rules.to_vec(),
        ..NetworkPolicy::of(NetworkMode::Allowlist)
    }
    .into()
}

async fn reaches(scene: &Scene, sandbox: &Arc<dyn Sandbox>, port: u16) -> Verdict<bool> {
    let outcome = scene.outcome(sandbox, &Program::FetchFromHost(port)).await?;
    match (outcome.exit.is_success(), outcome.stdout == GREETING) {
        (_, true) => Ok(true),
        (false, false) => Ok(false),
        (true, false) => Err(format!("the server was reached and said {:?}", outcome.text()).into()),
    }
}

async fn with_policy(scene: &Scene, policy: TimedPolicy) -> Verdict<Arc<dyn Sandbox>> {
    let mut spec = scene.ephemeral();
    spec.network = policy;
    scene.start(&spec).await
}

async fn an_allowlist_reaches_nothing_that_it_does_not_name(scene: &Scene) -> Verdict {
    let (named, other) = (server()?, server()?);
    let sandbox = with_policy(scene, allowing(&[rule(named)])).await?;
    check(
        !reaches(scene, &sandbox, other).await?,
        "a service of the host that no rule names was reached".to_owned(),
    )
}

async fn an_allowlist_reaches_what_it_names(scene: &Scene) -> Verdict {
    let port = server()?;
    let sandbox = with_policy(scene, allowing(&[rule(port)])).await?;
    check(
        reaches(scene, &sandbox, port).await?,
        "what a rule names was not reached".to_owned(),
    )
}

async fn a_denial_wins_over_an_allowance(scene: &Scene) -> Verdict {
    let port = server()?;
    let mut policy = allowing(&[rule(port)]);
    policy.policy.deny.push(rule(port));
    let sandbox = with_policy(scene, policy).await?;
    check(
        !reaches(scene, &sandbox, port).await?,
        "what a rule denies was reached".to_owned(),
    )
}

async fn an_edit_is_in_force_when_it_returns(scene: &Scene) -> Verdict {
    let port = server()?;
    let sandbox = with_policy(scene, allowing(&[])).await?;
    let network = sandbox
        .network()
        .ok_or("it declares edits and has no network facet".to_owned())?;
    for (policy, expected) in [(allowing(&[rule(port)]), true), (allowing(&[]), false)] {
        network.apply(&scene.cx, &policy).await?;
        equal(network.policy(&scene.cx).await?, policy, "the policy in force")?;
        equal(
            reaches(scene, &sandbox, port).await?,
            expected,
            "whether the server is reached",
        )?;
    }
    Ok(())
}

async fn a_refusal_is_told_with_the_way_out(scene: &Scene) -> Verdict {
    // Another one is allowed: the host has a name in this sandbox.
    let (other, port) = (server()?, server()?);
    let sandbox = with_policy(scene, allowing(&[rule(other)])).await?;
    equal(
        reaches(scene, &sandbox, port).await?,
        false,
        "whether the server is reached",
    )?;
    let network = sandbox
        .network()
        .ok_or("it declares edits and has no network facet".to_owned())?;
    let events = network.events(&scene.cx, 1000).await?;
    let told = events.iter().any(|event| match &event.kind {
        NetworkEventKind::Denied(denial) => {
            let remedy = denial.remedy.as_deref().unwrap_or_default();
            denial.to.is_some_and(|to| to.port() == port) && remedy.contains(&format!("host:{port}"))
        }
        _ => false,
    });
    check(told, format!("the refusal is not among {events:?}"))
}

async fn an_edit_is_seen_by_others(scene: &Scene) -> Verdict {
    let port = server()?;
    let mut spec = scene.kept();
    spec.network = allowing(&[]);
    let (sandbox, workspace) = scene.create(&spec).await?;
    sandbox.start(&scene.cx).await?;
    let backend = scene.harness.reconnect().await?;
    let other = backend
        .open(&scene.cx, &spec, &workspace, &sandbox.handle())
        .await?;
    let network = other
        .network()
        .ok_or("it declares edits and has no network facet".to_owned())?;
    network.apply(&scene.cx, &allowing(&[rule(port)])).await?;
    check(
        reaches(scene, &sandbox, port).await?,
        "the edit of another process is not in force".to_owned(),
    )
}

fn is_open(address: SocketAddr) -> bool {
    match TcpStream::connect_timeout(&address, Duration::from_secs(5)) {
        Ok(_) => true,
        // Taken, and given up at once: nobody listens inside.
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

fn any_port() -> PublishedPort {
    "0:80".parse().expect("a port")
}

async fn a_published_port_is_open_until_it_is_closed(scene: &Scene) -> Verdict {
    let mut spec = scene.ephemeral();
    spec.network = allowing(&[]);
    spec.ports = vec![any_port()];
    let sandbox = scene.start(&spec).await?;
    let network = sandbox
        .network()
        .ok_or("it declares ports and has no network facet".to_owned())?;
    let later = network.publish(&scene.cx, &any_port()).await?;
    let ports = network.published(&scene.cx).await?;
    equal(ports.len(), 2, "published ports")?;
    for bound in &ports {
        check(
            bound.address.ip().is_loopback() && bound.address.port() != 0,
            format!("{} was bound for {}", bound.address, bound.port),
        )?;
        check(is_open(bound.address), format!("{} is not open", bound.address))?;
    }
    network
        .unpublish(&scene.cx, later.address, later.port.protocol)
        .await?;
    check(
        !is_open(later.address),
        format!("{} is still open", later.address),
    )?;
    equal(network.published(&scene.cx).await?.len(), 1, "published ports")
}

async fn a_published_port_closes_with_its_sandbox(scene: &Scene) -> Verdict {
    let mut spec = scene.ephemeral();
    spec.network = allowing(&[]);
    spec.ports = vec![any_port()];
    let sandbox = scene.start(&spec).await?;
    let network = sandbox
        .network()
        .ok_or("it declares ports and has no network facet".to_owned())?;
    let ports = network.published(&scene.cx).await?;
    let address = ports
        .first()
        .ok_or("the port is not published".to_owned())?
        .address;
    sandbox.destroy(&scene.cx).await?;
    check(!is_open(address), format!("{address} is still open"))
}
