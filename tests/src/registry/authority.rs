//! A certificate authority that nobody but a test trusts.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::have;

/// One authority and one certificate of it for loopback.
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    /// None, and it says why, without openssl.
    pub fn new() -> Option<Self> {
        if !have(&["openssl"]) {
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let names = "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n";
        fs::write(folder.path().join("names"), names).expect("a file can be written");
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let root = [
            "req",
            "-x509",
            "-days",
            "2",
            "-subj",
            "/CN=test authority",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        ];
        openssl(folder.path(), &[&root[..], &curve].concat());
        let request = [
            "req",
            "-subj",
            "/CN=localhost",
            "-keyout",
            "key.pem",
            "-out",
            "request.pem",
        ];
        openssl(folder.path(), &[&request[..], &curve].concat());
        openssl(
            folder.path(),
            &[
                "x509",
                "-req",
                "-days",
                "2",
                "-in",
                "request.pem",
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-extfile",
                "names",
                "-out",
                "certificate.pem",
            ],
        );
        Some(Self { folder })
    }

    /// The file by which it is trusted.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The certificate and the key of a server on loopback.
    pub fn certificate(&self) -> (PathBuf, PathBuf) {
        let folder = self.folder.path();
        (folder.join("certificate.pem"), folder.join("key.pem"))
    }
}

#[track_caller]
fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("openssl can be started");
    assert!(
        output.status.success(),
        "openssl {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
