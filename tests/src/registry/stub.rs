//! A registry that is a closure: for what an honest one never answers.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::images::{Blob, Image};

/// What was asked. The path has its query.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// The value of `Authorization`.
    pub authorization: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: &'static str,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn new(status: &'static str) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// What a registry says that has exactly this image, whatever its name.
    pub fn from_image(image: &Image, asked: &Asked) -> Self {
        let parts = image.manifest();
        if asked.path.contains("/manifests/") {
            return Self::of_blob(&parts.manifest);
        }
        let blob = parts.blobs.iter().find(|blob| asked.path.ends_with(&blob.digest));
        match blob {
            Some(blob) => Self::of_blob(blob),
            None if asked.path == "/v2/" => Self::new("200 OK").body("{}"),
            None => Self::new("404 Not Found"),
        }
    }

    pub fn of_blob(blob: &Blob) -> Self {
        Self::new("200 OK")
            .header("Content-Type", &blob.media_type)
            .header("Docker-Content-Digest", &blob.digest)
            .body(blob.bytes())
    }
}

/// Answers by plain HTTP on loopback. Ends with its value.
pub struct Stub {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

type Behaviour = dyn Fn(&Asked) -> Answer + Send + Sync;

impl Stub {
    pub fn new(behaviour: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::with_address(|_| Box::new(behaviour))
    }

    /// For answers that name the stub itself.
    pub fn with_address(behaviour: impl FnOnce(SocketAddr) -> Box<Behaviour>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let behaviour: Arc<Behaviour> = behaviour(address).into();
        let stub = Self {
            address,
            closed: Arc::default(),
            asked: Arc::default(),
        };
        let (closed, asked) = (stub.closed.clone(), stub.asked.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if closed.load(Ordering::Relaxed) {
                    return;
                }
                let (behaviour, asked) = (behaviour.clone(), asked.clone());
                thread::spawn(move || serve(client, &*behaviour, &asked));
            }
        });
        stub
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no thread of the stub panics").clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        // Wakes the listener, which sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

/// One request, one answer, then the connection ends. A client that goes away is no failure.
fn serve(client: TcpStream, behaviour: &Behaviour, asked: &Mutex<Vec<Asked>>) {
    let _ = client.set_read_timeout(Some(Duration::from_secs(20)));
    let mut reader = BufReader::new(&client);
    let Some(request) = read_request(&mut reader) else {
        return;
    };
    let answer = behaviour(&request);
    let bodiless = request.method == "HEAD";
    asked.lock().expect("no thread of the stub panics").push(request);
    let mut head = format!(
        "HTTP/1.1 {}\r\nConnection: close\r\nContent-Length: {}\r\n",
        answer.status,
        answer.body.len()
    );
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let mut writer = &client;
    let written = writer.write_all((head + "\r\n").as_bytes());
    if written.is_ok() && !bodiless {
        let _ = writer.write_all(&answer.body);
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let mut asked = Asked {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        authorization: None,
    };
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim_end();
        if header.is_empty() {
            return Some(asked);
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("authorization")
        {
            asked.authorization = Some(value.trim().to_owned());
        }
    }
}
