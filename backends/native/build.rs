//! Builds the guest agent as a static program and hands its path to the crate, so that `cargo build` is all.

use std::{
    collections::hash_map::DefaultHasher,
    env,
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
};

fn main() {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../..");
    for part in ["guest/agent", "crates/protocol", "crates/types"] {
        println!(
            "cargo::rerun-if-changed={}",
            root.join(part).join("src").display()
        );
        println!(
            "cargo::rerun-if-changed={}",
            root.join(part).join("Cargo.toml").display()
        );
    }
    let agent = build(&root);
    println!("cargo::rustc-env=AGENTKERNEL_AGENT={}", agent.display());
    let mut hasher = DefaultHasher::new();
    std::fs::read(&agent).expect("just built").hash(&mut hasher);
    println!("cargo::rustc-env=AGENTKERNEL_AGENT_ID={:016x}", hasher.finish());
}

fn build(root: &Path) -> PathBuf {
    // A target folder of its own: the outer cargo holds the lock of the usual one while this runs.
    let target_dir = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("agent");
    let target = env::var("TARGET").expect("cargo sets it");
    let mut cargo = Command::new(env::var_os("CARGO").expect("cargo sets it"));
    cargo
        .current_dir(root)
        .args([
            "build",
            "--quiet",
            "--package",
            "agentkernel-agent",
            "--profile",
            "agent",
            "--target",
            &target,
        ])
        .arg("--target-dir")
        .arg(&target_dir)
        // Static and at a fixed address: no loader and no relocation work when a sandbox starts.
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            "-Ctarget-feature=+crt-static\u{1f}-Crelocation-model=static",
        );
    // What `cargo clippy` and coverage tools set for the outer build must not reach the inner one.
    for variable in [
        "RUSTFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_BUILD_TARGET",
        "CLIPPY_ARGS",
    ] {
        cargo.env_remove(variable);
    }
    let status = cargo.status().expect("cargo can be started");
    assert!(status.success(), "the guest agent did not build");
    target_dir.join(target).join("agent").join("agentkernel-agent")
}
