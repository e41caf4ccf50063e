//! The suite passes on a faultless fake, and notices every planted fault.

use std::{path::PathBuf, sync::Arc};

use agentkernel_backend::Capabilities;
use agentkernel_conformance::{
    Harness, assert_suite, cases,
    fake::{FakeHarness, Fault, everything},
    run_case,
};
use agentkernel_types::{Isolation, NetworkMode};

fn harness(folder: &tempfile::TempDir, capabilities: Capabilities, faults: &[Fault]) -> Arc<dyn Harness> {
    Arc::new(FakeHarness::new(
        PathBuf::from(folder.path()),
        capabilities,
        faults,
    ))
}

fn nothing() -> Capabilities {
    Capabilities {
        kept: false,
        terminal: false,
        detached_exec: false,
        files: false,
        mounts: false,
        read_only_root: false,
        networks: vec![NetworkMode::None],
        network_edits: false,
        publish_ports: false,
        user: false,
        limit_cpus: false,
        limit_memory: false,
        limit_pids: false,
        limit_disk: false,
        limit_disk_kept: false,
        registry_images: agentkernel_types::RegistryImages::None,
        oom_reported: false,
        ..everything(Isolation::Container)
    }
}

#[test]
fn there_are_enough_cases_and_each_has_a_name_of_its_own() {
    let mut names: Vec<_> = cases().into_iter().map(|case| case.name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(all, names.len(), "two cases have the same name");
    assert!(all >= 130, "only {all} cases");
}

#[tokio::test]
async fn a_faultless_fake_passes_everything_that_it_declares() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = assert_suite(harness(&folder, everything(Isolation::Container), &[])).await;
    assert!(report.passed.len() >= 100, "{}", report.summary());
}

#[tokio::test]
async fn a_fake_that_declares_little_refuses_the_rest_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = assert_suite(harness(&folder, nothing(), &[])).await;
    assert!(report.skipped.len() >= 40, "{}", report.summary());
}

#[tokio::test]
async fn a_fake_that_has_only_a_network_and_images_passes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let capabilities = Capabilities {
        networks: vec![NetworkMode::Host],
        network_edits: false,
        publish_ports: false,
        host_image: false,
        registry_images: agentkernel_types::RegistryImages::Own,
        limit_disk_kept: false,
        ..everything(Isolation::Container)
    };
    assert_suite(harness(&folder, capabilities, &[])).await;
}

/// The first case that notices the fault.
async fn noticed_by(harness: &Arc<dyn Harness>) -> Option<&'static str> {
    for case in cases() {
        if let Some(Err(_)) = run_case(&case, harness).await {
            return Some(case.name);
        }
    }
    None
}

// The clock is paused: whatever hangs reaches its limit at once.
#[tokio::test(start_paused = true)]
async fn every_planted_fault_is_noticed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut unnoticed = Vec::new();
    for fault in Fault::SUBTLE {
        let little = matches!(fault, Fault::AcceptsWhatItCannotDo | Fault::RefusesWithoutName);
        let capabilities = if little {
            nothing()
        } else {
            everything(Isolation::Container)
        };
        match noticed_by(&harness(&folder, capabilities, &[fault])).await {
            Some(case) => println!("{fault:?}: {case}"),
            None => unnoticed.push(fault),
        }
    }
    assert!(unnoticed.is_empty(), "not noticed: {unnoticed:?}");
}
