//! As much of HTTP as pushing an image to loopback needs: one request a connection.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::images::{Blob, Body};

const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Response {
    pub status: u16,
    location: Option<String>,
    body: String,
}

/// Stores the blob unless it is there, in two requests as the specification of distribution has them.
pub(super) fn put_blob(address: SocketAddr, repository: &str, blob: &Blob) {
    let there = format!("/v2/{repository}/blobs/{}", blob.digest);
    if ask(address, "HEAD", &there, "", None).status == 200 {
        return;
    }
    let begun = ask(
        address,
        "POST",
        &format!("/v2/{repository}/blobs/uploads/"),
        "",
        None,
    );
    let location = begun.location.expect("an upload has a location");
    let path = location
        .find("/v2/")
        .map_or(location.as_str(), |at| &location[at..]);
    let put = ask(
        address,
        "PUT",
        &format!("{path}&digest={}", blob.digest),
        "application/octet-stream",
        Some(blob),
    );
    assert_eq!(put.status, 201, "the registry refuses a blob: {}", put.body);
}

pub(super) fn put_manifest(address: SocketAddr, repository: &str, tag: &str, manifest: &Blob) {
    let path = format!("/v2/{repository}/manifests/{tag}");
    let put = ask(address, "PUT", &path, &manifest.media_type, Some(manifest));
    assert_eq!(put.status, 201, "the registry refuses a manifest: {}", put.body);
}

fn ask(address: SocketAddr, method: &str, path: &str, media_type: &str, body: Option<&Blob>) -> Response {
    let mut stream = TcpStream::connect(address).expect("the registry listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a timeout can be set");
    let length = body.map_or(0, |blob| blob.size);
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\
         Content-Type: {media_type}\r\n\r\n"
    );
    stream
        .write_all(head.as_bytes())
        .expect("a request can be written");
    match body.map(|blob| &blob.body) {
        None => {}
        Some(Body::Bytes(bytes)) => stream.write_all(bytes).expect("a body can be written"),
        Some(Body::File(path)) => {
            let mut file = File::open(path).expect("the file of a blob is there");
            io::copy(&mut file, &mut stream).expect("a body can be written");
        }
    }
    answer(stream, method == "HEAD")
}

fn answer(stream: TcpStream, bodiless: bool) -> Response {
    let mut reader = BufReader::new(stream);
    let mut response = Response {
        status: 0,
        location: None,
        body: String::new(),
    };
    let mut line = String::new();
    while reader.read_line(&mut line).expect("an answer can be read") > 2 {
        let text = line.trim_end();
        if let Some(rest) = text.strip_prefix("HTTP/1.1 ") {
            response.status = rest[..3].parse().expect("a status is a number");
        }
        if let Some((name, value)) = text.split_once(": ")
            && name.eq_ignore_ascii_case("location")
        {
            response.location = Some(value.to_owned());
        }
        line.clear();
    }
    if !bodiless {
        reader
            .read_to_string(&mut response.body)
            .expect("an answer can be read");
    }
    response
}
