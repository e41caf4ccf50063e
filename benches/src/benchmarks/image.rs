//! Images that are there: the second start from one, and the import of a large root file system.

use std::{fs, process::Command};

use agentkernel_tests::registry::Registry;
use anyhow::{Context, Result};

use crate::{
    measure::{Prepared, Side, in_turns, prepared_in_turns},
    programs::{Profile, Subject, bubblewrap_on, expect_success, to_disk},
    report::{Goal, Peer, Row},
    samples,
};

const NAME: &str = "bench/started:1";
/// The bytes of the root file system that is imported.
const IMPORTED: u64 = 1 << 30;

/// Both sides start `true` in the same files: ours out of the layers, bubblewrap out of one folder.
pub fn second_start(subject: &Subject, rounds: usize) -> Result<Vec<Row>> {
    let folder = tempfile::Builder::new().prefix("akb").tempdir()?;
    let registry = Registry::open().context("docker-registry is not installed")?;
    let image = samples::image(folder.path(), 5, 50_000_000)?;
    registry.push(NAME, &image);
    subject.trust(&registry.host())?;
    let reference = registry.name(NAME);
    subject.call(&["image", "pull", "-q", &reference])?;
    let root = folder.path().join("root");
    fs::create_dir(&root)?;
    samples::unpacked(&image, &root)?;
    let rows = Profile::ALL.into_iter().map(|profile| {
        let arguments = [
            "run",
            "--pull",
            "never",
            "--profile",
            profile.name(),
            "--image",
            &reference,
            "/bin/true",
        ];
        let mut sides: Vec<Side<'_>> = vec![Box::new(|| subject.call(&arguments))];
        let peer = bubblewrap_on(&root, profile, &["/bin/true"]);
        let peer_is_there = peer.is_some();
        if let Some(mut peer) = peer {
            subject.quiet(&mut peer);
            sides.push(Box::new(move || expect_success(&mut peer)));
        }
        let mut summaries = in_turns(&mut sides, rounds)?.into_iter();
        let ours = summaries.next().flatten();
        let peer = match peer_is_there {
            true => Peer::measured("bubblewrap", summaries.next().flatten()),
            false => Peer::absent("bubblewrap", "not installed"),
        };
        Ok(Row {
            name: format!("run --image X true, {}", profile.name()),
            unit: "ms",
            ours,
            peer: Some(peer),
            goal: Some(Goal::Ratio(1.5)),
        })
    });
    rows.collect()
}

/// A root file system of 1 GiB against `tar -x`; both end with the file system written to the disk.
pub fn import(subject: &Subject, rounds: usize) -> Result<Vec<Row>> {
    let folder = tempfile::Builder::new().prefix("akb").tempdir()?;
    let archive = folder.path().join("root.tar");
    samples::archive(&archive, IMPORTED)?;
    let text = archive.display().to_string();
    let target = folder.path().join("unpacked");
    let mut sides = [
        Prepared {
            before: Box::new(|| {
                subject.forget_images()?;
                to_disk(&subject.state())
            }),
            work: Box::new(|| {
                subject.call(&["image", "import", &text, "imported:1"])?;
                to_disk(&subject.state())
            }),
        },
        Prepared {
            before: Box::new(|| {
                let _ = fs::remove_dir_all(&target);
                fs::create_dir(&target)?;
                to_disk(&target)
            }),
            work: Box::new(|| {
                let mut tar = Command::new("tar");
                tar.args(["--numeric-owner", "-x", "-C"]).arg(&target);
                expect_success(tar.arg("-f").arg(&archive))?;
                to_disk(&target)
            }),
        },
    ];
    let summaries = prepared_in_turns(&mut sides, rounds.div_ceil(10))?;
    Ok(vec![Row {
        name: "import a root of 1 GiB".to_owned(),
        unit: "ms",
        ours: summaries[0],
        peer: Some(Peer::measured("tar -x", summaries[1])),
        goal: Some(Goal::Ratio(1.3)),
    }])
}
