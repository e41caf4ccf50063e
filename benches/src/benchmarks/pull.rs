//! From a registry on loopback to files that can be run, against skopeo with umoci and against podman.
//!
//! Every side ends with its file system written to the disk, and begins with nothing in its store.

use std::{fs, path::Path, process::Command, time::Duration};

use agentkernel_tests::registry::Registry;
use anyhow::{Context, Result};

use crate::{
    measure::{Prepared, Summary, prepared_in_turns},
    programs::{Subject, answer, expect_success, in_path, to_disk},
    report::{Goal, Peer, Row},
    samples,
};

const LAYERS: usize = 5;
/// Before compression; about a third of it travels.
const BYTES: u64 = 600_000_000;
const NAME: &str = "bench/sample:1";
const GOAL: Goal = Goal::Ratio(0.7);

pub fn pull(subject: &Subject, rounds: usize) -> Result<Vec<Row>> {
    let folder = tempfile::Builder::new().prefix("akb").tempdir()?;
    let registry = Registry::open().context("docker-registry is not installed")?;
    let image = samples::image(folder.path(), LAYERS, BYTES)?;
    registry.push(NAME, &image);
    subject.trust(&registry.host())?;
    let reference = registry.name(NAME);
    let rounds = rounds.div_ceil(10);

    let mut sides = vec![ours(subject, &reference)];
    let mut names = Vec::new();
    let peers = [
        ("skopeo, umoci", with_umoci(folder.path(), &reference)),
        ("podman", with_podman(folder.path(), &reference)),
    ];
    let mut absent = Vec::new();
    for (name, side) in peers {
        match side {
            Ok(side) => {
                sides.push(side);
                names.push(name);
            }
            Err(why) => absent.push(Peer::absent(name, format!("{why:#}"))),
        }
    }
    let mut summaries = prepared_in_turns(&mut sides, rounds)?.into_iter();
    let ours = summaries.next().flatten();
    let measured = names
        .into_iter()
        .zip(summaries)
        .map(|(name, summary)| Peer::measured(name, summary));
    let megabytes = image.layers.iter().map(|layer| layer.size).sum::<u64>() / 1_000_000;
    Ok(measured
        .chain(absent)
        .map(|peer| row(megabytes, ours, peer))
        .collect())
}

fn row(megabytes: u64, ours: Option<Summary>, peer: Peer) -> Row {
    Row {
        name: format!("pull and unpack {megabytes} MB"),
        unit: "ms",
        ours,
        peer: Some(peer),
        goal: Some(GOAL),
    }
}

fn ours<'a>(subject: &'a Subject, reference: &'a str) -> Prepared<'a> {
    Prepared {
        before: Box::new(|| {
            subject.forget_images()?;
            to_disk(&subject.state())
        }),
        work: Box::new(move || {
            subject.call(&["image", "pull", "-q", reference])?;
            to_disk(&subject.state())
        }),
    }
}

fn with_umoci(folder: &Path, reference: &str) -> Result<Prepared<'static>> {
    let (skopeo, umoci) = (found("skopeo")?, found("umoci")?);
    let (layout, bundle) = (folder.join("layout"), folder.join("bundle"));
    let source = format!("docker://{reference}");
    let cleared = [layout.clone(), bundle.clone()];
    let folder = folder.to_owned();
    let disk = folder.clone();
    Ok(Prepared {
        before: Box::new(move || {
            cleared.iter().try_for_each(|path| clear(path))?;
            to_disk(&disk)
        }),
        work: Box::new(move || {
            let target = format!("oci:{}:sample", layout.display());
            let copy = ["--insecure-policy", "copy", "-q", "--src-tls-verify=false"];
            expect_success(Command::new(&skopeo).args(copy).args([&source, &target]))?;
            let mut unpack = Command::new(&umoci);
            unpack.arg("unpack");
            if !rustix::process::getuid().is_root() {
                unpack.arg("--rootless");
            }
            let image = format!("{}:sample", layout.display());
            expect_success(unpack.args(["--image", &image]).arg(&bundle))?;
            to_disk(&folder)
        }),
    })
}

fn with_podman(folder: &Path, reference: &str) -> Result<Prepared<'static>> {
    let podman = found("podman")?;
    let storage = folder.join("podman");
    let command = {
        let storage = storage.clone();
        move |arguments: &[&str]| {
            let mut command = Command::new(&podman);
            command.arg("--root").arg(storage.join("root"));
            command.arg("--runroot").arg(storage.join("run"));
            command.args(["--cgroup-manager", "cgroupfs", "--events-backend", "none"]);
            command.args(arguments);
            command
        }
    };
    answer(&mut command(&["info"]), Duration::from_secs(20)).context("does not answer")?;
    let reference = reference.to_owned();
    let (disk, folder) = (folder.to_owned(), folder.to_owned());
    let remove = command.clone();
    Ok(Prepared {
        before: Box::new(move || {
            // Its overlays may be mounted, so it clears up itself.
            let _ = answer(&mut remove(&["rmi", "-a", "-f"]), Duration::from_secs(60));
            to_disk(&disk)
        }),
        work: Box::new(move || {
            let pull = ["pull", "-q", "--tls-verify=false", &reference];
            answer(&mut command(&pull), Duration::from_secs(600))?;
            to_disk(&folder)
        }),
    })
}

fn found(name: &str) -> Result<std::path::PathBuf> {
    in_path(name).with_context(|| format!("{name} is not installed"))
}

fn clear(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
