//! The committed reference is the generated one.

#[test]
#[cfg(target_arch = "x86_64")]
fn the_reference_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/seccomp.md");
    let current = super::super::reference();
    if std::env::var_os("AGENTKERNEL_UPDATE_REFERENCE").is_some() {
        std::fs::write(path, &current).expect("the reference can be written");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == current,
        "docs/reference/seccomp.md is old: run this test with AGENTKERNEL_UPDATE_REFERENCE=1"
    );
}
