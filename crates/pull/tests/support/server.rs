//! A registry in a few threads that does what a test wants of it, and remembers what it was asked.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::image::{Content, sha256};

#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// With its query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// How often this path was asked for before.
    pub nth: usize,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// `manifests/NAME` or `blobs/DIGEST`.
    pub fn key(&self) -> &str {
        let parts = [self.path.rfind("/manifests/"), self.path.rfind("/blobs/")];
        parts
            .into_iter()
            .flatten()
            .max()
            .map_or("", |at| &self.path[at + 1..])
    }

    fn range(&self) -> Option<usize> {
        self.header("range")?
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    }
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

#[derive(Clone, Debug)]
pub enum Body {
    Bytes(Vec<u8>),
    /// Says the length of all of it, and hangs up after so many.
    Cut(Vec<u8>, usize),
    /// Sends so many and then nothing, with the connection open.
    Stalled(Vec<u8>, usize),
    /// No length, and no end.
    Endless,
    /// No length; ends when the connection does.
    UntilClosed(Vec<u8>),
}

impl Answer {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Bytes(body.into()),
        }
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }
}

/// None: what a well-behaved registry answers.
pub type Behaviour = dyn Fn(&Request) -> Option<Answer> + Send + Sync;

pub struct Server {
    pub port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    stopped: Arc<AtomicBool>,
}

impl Server {
    pub fn new(content: Content) -> Self {
        Self::behaving(content, |_| None)
    }

    pub fn behaving(
        content: Content,
        behaviour: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it listens").port();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let stopped = Arc::new(AtomicBool::new(false));
        let shared = Arc::new((
            content,
            Box::new(behaviour) as Box<Behaviour>,
            Arc::clone(&requests),
        ));
        let ended = Arc::clone(&stopped);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&shared);
                let ended = Arc::clone(&ended);
                thread::spawn(move || {
                    let (content, behaviour, requests) = &*shared;
                    // A client that has gone is no failure.
                    let _ = serve(stream, content, behaviour, requests, &ended);
                });
            }
        });
        Self {
            port,
            requests,
            stopped,
        }
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn image(&self) -> String {
        format!("{}/team/app:latest", self.host())
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no server panics with it").clone()
    }

    /// How often this was asked for.
    pub fn count(&self, key: &str) -> usize {
        self.requests()
            .iter()
            .filter(|request| request.key() == key)
            .count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(
    mut stream: TcpStream,
    content: &Content,
    behaviour: &Behaviour,
    requests: &Mutex<Vec<Request>>,
    ended: &AtomicBool,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(mut request) = read_request(&mut reader)? {
        {
            let mut requests = requests.lock().expect("no server panics with it");
            request.nth = requests
                .iter()
                .filter(|earlier| earlier.path == request.path)
                .count();
            requests.push(request.clone());
        }
        let answer = behaviour(&request).unwrap_or_else(|| well_behaved(content, &request));
        if !write_answer(&mut stream, &request, answer, ended)? {
            break;
        }
    }
    Ok(())
}

fn read_request(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let mut request = Request {
        method: words.next().unwrap_or_default().to_owned(),
        path: words.next().unwrap_or_default().to_owned(),
        headers: Vec::new(),
        body: String::new(),
        nth: 0,
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        request.headers.push((name.to_owned(), value.to_owned()));
    }
    let length = request
        .header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    request.body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(request))
}

pub fn well_behaved(content: &Content, request: &Request) -> Answer {
    let Some((media_type, bytes)) = content.get(request.key()) else {
        return Answer::new(
            404,
            r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#,
        );
    };
    let answer = match request.range() {
        Some(from) if from >= bytes.len() => return Answer::new(416, ""),
        Some(from) => Answer::new(206, &bytes[from..]).with(
            "Content-Range",
            format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len()),
        ),
        None => Answer::new(200, bytes.clone()),
    };
    answer
        .with("Content-Type", media_type.clone())
        .with("Docker-Content-Digest", sha256(bytes).to_string())
}

/// Whether the connection can be used again.
fn write_answer(
    stream: &mut TcpStream,
    request: &Request,
    answer: Answer,
    ended: &AtomicBool,
) -> std::io::Result<bool> {
    let mut head = format!("HTTP/1.1 {} Test\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let length = match &answer.body {
        Body::Bytes(bytes) | Body::Cut(bytes, _) | Body::Stalled(bytes, _) => Some(bytes.len()),
        Body::Endless | Body::UntilClosed(_) => None,
    };
    head.push_str(&match length {
        Some(length) => format!("Content-Length: {length}\r\n\r\n"),
        None => "Connection: close\r\n\r\n".to_owned(),
    });
    stream.write_all(head.as_bytes())?;
    if request.method == "HEAD" {
        return Ok(true);
    }
    match answer.body {
        Body::Bytes(bytes) => stream.write_all(&bytes).map(|()| true),
        Body::UntilClosed(bytes) => stream.write_all(&bytes).map(|()| false),
        Body::Cut(bytes, at) => stream.write_all(&bytes[..at]).map(|()| false),
        Body::Stalled(bytes, at) => {
            stream.write_all(&bytes[..at])?;
            while !ended.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20));
            }
            Ok(false)
        }
        Body::Endless => loop {
            stream.write_all(&[b' '; 64 << 10])?;
        },
    }
}
