//! Debian's docker-registry, with an image that skopeo has pushed.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use super::image::{MANIFEST, TestImage};

/// Where something is not installed, the tests that need it say so and pass.
pub fn missing(tools: &[&str]) -> bool {
    let installed = |tool: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
    };
    let missing: Vec<_> = tools.iter().filter(|tool| !installed(tool)).collect();
    if !missing.is_empty() {
        println!("skipped: not installed: {missing:?}");
    }
    !missing.is_empty()
}

pub const TOOLS: [&str; 3] = ["docker-registry", "skopeo", "openssl"];
pub const USER: &str = "ann";
pub const PASSWORD: &str = "open sesame";
/// The password, as the registry wants it.
const HTPASSWD: &str = "ann:$2b$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW\n";

/// What a registry is started with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup<'a> {
    pub with_password: bool,
    /// A folder with `server.pem` and `server.key`.
    pub tls: Option<&'a Path>,
}

pub struct Registry {
    process: Child,
    pub port: u16,
    folder: tempfile::TempDir,
}

impl Registry {
    pub fn start(setup: Setup<'_>) -> Self {
        // Another process may take the port in between: then once more with the next.
        for _ in 0..5 {
            if let Some(registry) = Self::attempt(setup) {
                return registry;
            }
        }
        panic!("docker-registry does not start");
    }

    fn attempt(setup: Setup<'_>) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0")
            .expect("a free port")
            .local_addr()
            .expect("it listens")
            .port();
        let root = folder.path().display();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {root}/data}}}}\nhttp:\n  addr: 127.0.0.1:{port}\n"
        );
        if let Some(tls) = setup.tls {
            let tls = tls.display();
            config.push_str(&format!(
                "  tls: {{certificate: {tls}/server.pem, key: {tls}/server.key}}\n"
            ));
        }
        if setup.with_password {
            fs::write(folder.path().join("htpasswd"), HTPASSWD).expect("writable");
            config.push_str(&format!(
                "auth: {{htpasswd: {{realm: test, path: {root}/htpasswd}}}}\n"
            ));
        }
        let path = folder.path().join("config.yml");
        fs::write(&path, config).expect("writable");
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it is installed");
        let end = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = process.try_wait().expect("our own child").is_some();
            if ended || Instant::now() > end {
                let _ = process.kill();
                let _ = process.wait();
                return None;
            }
            thread::sleep(Duration::from_millis(20));
        }
        Some(Self {
            process,
            port,
            folder,
        })
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn image(&self) -> String {
        format!("{}/team/app:latest", self.host())
    }

    /// `format` is `oci` or `v2s2`.
    pub fn push(&self, image: &TestImage, format: &str) {
        let layout = self.folder.path().join(format!("layout-{format}"));
        write_layout(image, &layout);
        let done = Command::new("skopeo")
            .args([
                "--insecure-policy",
                "copy",
                "--quiet",
                "--dest-tls-verify=false",
                "--format",
                format,
            ])
            .args(["--dest-creds", &format!("{USER}:{PASSWORD}")])
            .arg(format!("oci:{}:latest", layout.display()))
            .arg(format!("docker://{}", self.image()))
            .output()
            .expect("it is installed");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn write_layout(image: &TestImage, folder: &Path) {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("writable");
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("writable");
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{MANIFEST}","digest":"{}","size":{},"annotations":{{"org.opencontainers.image.ref.name":"latest"}}}}]}}"#,
        image.digest(),
        image.manifest.len()
    );
    fs::write(folder.join("index.json"), index).expect("writable");
    fs::write(blobs.join(image.digest().hex()), &image.manifest).expect("writable");
    fs::write(blobs.join(image.id().hex()), &image.config).expect("writable");
    for layer in &image.layers {
        fs::write(blobs.join(layer.digest().hex()), &layer.compressed).expect("writable");
    }
}

/// An authority in `ca.pem`, and in `server.pem` what it has signed.
pub fn certificates(folder: &Path, names: &str, days: &str) {
    let openssl = |arguments: &str| {
        let done = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(folder)
            .output()
            .expect("it is installed");
        assert!(
            done.status.success(),
            "{arguments}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=test"
    ));
    openssl(&format!(
        "req {key} -keyout server.key -out server.csr -subj /CN=server"
    ));
    fs::write(folder.join("names"), format!("subjectAltName={names}\n")).expect("writable");
    openssl(&format!(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days {days} -extfile names"
    ));
}

/// Answers everything with the same, over TLS. Returns its address.
pub fn encrypted(folder: &Path, answer: String) -> String {
    let certificate = CertificateDer::from_pem_file(folder.join("server.pem")).expect("made by openssl");
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).expect("made by openssl");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider's own")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they belong together");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let host = listener.local_addr().expect("it listens").to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("valid");
            let mut stream = StreamOwned::new(connection, stream);
            // A client that has gone is no failure.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    host
}
