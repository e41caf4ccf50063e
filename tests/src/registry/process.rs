//! Debian's docker-registry on a free port of loopback.

use std::{
    fs,
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{Authority, http};
use crate::{
    cli::wait_until,
    have,
    images::{Image, index},
};

pub const USER: &str = "tester";
pub const PASSWORD: &str = "opensesame";
/// `USER:PASSWORD` by bcrypt, at its lowest cost.
const HASHED: &str = "tester:$2b$04$abcdefghijklmnopqrstuuFuhxWRTXIsURoluSTZ1N4tYaWGn9oOi";

/// Ends with its value; its images go with the last registry that shares them.
pub struct Registry {
    process: Child,
    address: SocketAddr,
    folder: TempDir,
    images: Arc<TempDir>,
}

/// One line of its access log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub status: u16,
    pub bytes: u64,
}

impl Registry {
    /// Anyone may read and write, by plain HTTP. None, and it says why, where the program is missing.
    pub fn open() -> Option<Self> {
        have(&["docker-registry"]).then(|| Self::start(Arc::new(temporary()), |_| String::new()))
    }

    /// One more registry with the same images, by plain HTTP, for [`USER`] with [`PASSWORD`] only.
    pub fn with_password(&self) -> Self {
        Self::start(self.images.clone(), |folder| {
            let path = folder.join("htpasswd");
            fs::write(&path, HASHED).expect("a file can be written");
            format!(
                "auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
                path.display()
            )
        })
    }

    /// One more registry with the same images, by TLS with a certificate of this authority.
    pub fn with_tls(&self, authority: &Authority) -> Self {
        let (certificate, key) = authority.certificate();
        Self::start(self.images.clone(), |_| {
            format!(
                "  tls:\n    certificate: {}\n    key: {}\n",
                certificate.display(),
                key.display()
            )
        })
    }

    /// `more` continues the section `http` of the configuration.
    fn start(images: Arc<TempDir>, more: impl FnOnce(&Path) -> String) -> Self {
        let folder = temporary();
        let configuration = format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: \
             127.0.0.1:0\n  secret: test\n{}",
            images.path().display(),
            more(folder.path()),
        );
        let path = folder.path().join("registry.yml");
        fs::write(&path, configuration).expect("a file can be written");
        let log = |name: &str| {
            let file = fs::File::create(folder.path().join(name)).expect("a file can be made");
            Stdio::from(file)
        };
        let mut command = Command::new("docker-registry");
        command
            .arg("serve")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(log("access"))
            .stderr(log("messages"));
        // SAFETY: one system call between fork and exec, which neither allocates nor locks.
        unsafe {
            // A test that is killed takes its registry with it.
            command.pre_exec(|| {
                Ok(rustix::process::set_parent_process_death_signal(Some(
                    Signal::KILL,
                ))?)
            });
        }
        let process = command.spawn().expect("the registry can be started");
        let mut registry = Self {
            process,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            folder,
            images,
        };
        registry.address = registry.wait_for_address();
        registry
    }

    fn wait_for_address(&self) -> SocketAddr {
        let path = self.folder.path().join("messages");
        let messages = || fs::read_to_string(&path).unwrap_or_default();
        let mut found = None;
        wait_until("the registry listens", Duration::from_secs(30), || {
            found = messages()
                .split("listening on ")
                .nth(1)
                .and_then(|rest| rest.split([',', '"']).next()?.parse().ok());
            found.is_some()
        });
        found.expect("the loop ends with an address")
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The full name of something in it.
    pub fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// Stores an image as `REPOSITORY:TAG`, and gives the digest of its manifest.
    pub fn push(&self, name: &str, image: &Image) -> String {
        let (repository, tag) = name.split_once(':').expect("a name with a tag");
        let parts = image.manifest();
        for blob in &parts.blobs {
            http::put_blob(self.address, repository, blob);
        }
        http::put_manifest(self.address, repository, tag, &parts.manifest);
        parts.manifest.digest
    }

    /// Stores images of several platforms as one name, and gives the digest of the index.
    pub fn push_platforms(&self, name: &str, images: &[Image]) -> String {
        let (repository, tag) = name.split_once(':').expect("a name with a tag");
        for image in images {
            let digest = image.manifest().manifest.digest;
            self.push(&format!("{repository}:{}", &digest["sha256:".len()..]), image);
        }
        let index = index(images);
        http::put_manifest(self.address, repository, tag, &index);
        index.digest
    }

    /// What it was asked for so far, in the order in which the answers ended.
    pub fn requests(&self) -> Vec<Request> {
        let log = fs::read_to_string(self.folder.path().join("access")).unwrap_or_default();
        log.lines().filter_map(request).collect()
    }

    /// The bytes that were sent of this blob.
    pub fn sent(&self, digest: &str) -> u64 {
        let of_it = |request: &Request| request.method == "GET" && request.path.ends_with(digest);
        self.requests()
            .iter()
            .filter(|request| of_it(request))
            .map(|request| request.bytes)
            .sum()
    }

    /// Where its images lie.
    pub fn images(&self) -> PathBuf {
        self.images.path().to_owned()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `127.0.0.1 - - [time] "GET /v2/ HTTP/1.1" 200 2 "" "curl"`
fn request(line: &str) -> Option<Request> {
    let mut parts = line.split('"').skip(1);
    let mut asked = parts.next()?.split(' ');
    let mut answered = parts.next()?.trim().split(' ');
    Some(Request {
        method: asked.next()?.to_owned(),
        path: asked.next()?.to_owned(),
        status: answered.next()?.parse().ok()?,
        bytes: answered.next()?.parse().ok()?,
    })
}

fn temporary() -> TempDir {
    tempfile::Builder::new()
        .prefix("akr")
        .tempdir()
        .expect("a temporary folder can be made")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_access_log_is_read() {
        let line =
            r#"127.0.0.1 - - [21/Nov/2026:09:13:12 +0000] "GET /v2/a/blobs/x HTTP/1.1" 206 17 "" "agent""#;
        let expected = Request {
            method: "GET".to_owned(),
            path: "/v2/a/blobs/x".to_owned(),
            status: 206,
            bytes: 17,
        };
        assert_eq!(request(line), Some(expected));
        assert_eq!(request("anything else"), None);
    }

    #[test]
    fn what_was_pushed_can_be_asked_for() {
        let (Some(registry), Some(image)) = (Registry::open(), Image::busybox()) else {
            return;
        };
        registry.push("team/tool:1", &image);
        let manifest = registry
            .requests()
            .into_iter()
            .find(|request| request.path == "/v2/team/tool/manifests/1");
        assert_eq!(manifest.map(|request| request.status), Some(201));
        assert_eq!(registry.sent(&image.layers[0].digest), 0);
    }
}
