//! Real pipes, sockets and files.

use std::{
    fs::File,
    io::{Read as _, Seek as _, Write as _},
    os::unix::net::UnixStream,
};

use rustix::fs::fcntl_getfl;

use super::*;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

async fn read_to_end(endpoint: &Endpoint) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let bytes = endpoint.read().await.unwrap();
        if bytes.is_empty() {
            return all;
        }
        all.extend_from_slice(&bytes);
    }
}

/// Bytes that show a lost, doubled or swapped piece.
fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|index| (index ^ (index >> 8) ^ (index >> 16)) as u8)
        .collect()
}

fn polled(descriptor: OwnedFd, direction: Direction) -> Endpoint {
    let interest = if direction == Direction::Read {
        Interest::READABLE
    } else {
        Interest::WRITABLE
    };
    // SAFETY: as in `open`.
    let waitable = unsafe { AsyncFd::register_with_interest(descriptor, interest) }.unwrap();
    Endpoint {
        descriptor: Descriptor::Waitable(waitable, Way::Polled),
        direction,
    }
}

#[test]
fn every_byte_comes_through_pipes_sockets_and_files() {
    let data = pattern(3 << 20);
    let (pipe_reader, mut pipe_writer) = io::pipe().unwrap();
    let (socket_reader, mut socket_writer) = UnixStream::pair().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&data).unwrap();
    file.rewind().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| pipe_writer.write_all(&data).map(|()| drop(pipe_writer)).unwrap());
        scope.spawn(|| {
            socket_writer
                .write_all(&data)
                .map(|()| drop(socket_writer))
                .unwrap()
        });
        for descriptor in [pipe_reader.as_fd(), socket_reader.as_fd(), file.as_fd()] {
            let read =
                block_on(async { read_to_end(&Endpoint::open(descriptor, Direction::Read).unwrap()).await });
            assert!(read == data);
        }
    });
}

#[test]
fn every_byte_goes_to_pipes_sockets_and_files_even_without_proc() {
    let data = pattern(3 << 20);
    let (mut pipe_reader, pipe_writer) = io::pipe().unwrap();
    let (mut slow_reader, slow_writer) = io::pipe().unwrap();
    let (mut socket_reader, socket_writer) = UnixStream::pair().unwrap();
    std::thread::scope(|scope| {
        for reader in [
            &mut pipe_reader as &mut (dyn io::Read + Send),
            &mut slow_reader,
            &mut socket_reader,
        ] {
            let data = &data;
            scope.spawn(move || {
                let mut read = Vec::new();
                reader.read_to_end(&mut read).unwrap();
                assert!(&read == data);
            });
        }
        let (pipe_writer, socket_writer) = (OwnedFd::from(pipe_writer), OwnedFd::from(socket_writer));
        block_on(async {
            for descriptor in [pipe_writer.as_fd(), socket_writer.as_fd()] {
                Endpoint::open(descriptor, Direction::Write)
                    .unwrap()
                    .write_all(&data)
                    .await
                    .unwrap();
            }
            polled(slow_writer.into(), Direction::Write)
                .write_all(&data)
                .await
                .unwrap();
        });
        drop((pipe_writer, socket_writer));
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    block_on(async {
        Endpoint::open(file.as_fd(), Direction::Write)
            .unwrap()
            .write_all(&data)
            .await
            .unwrap();
    });
    let mut written = Vec::new();
    File::open(file.path())
        .unwrap()
        .read_to_end(&mut written)
        .unwrap();
    assert!(written == data);
}

#[test]
fn the_flags_of_a_shared_description_stay_as_they_are() {
    let (reader, writer) = io::pipe().unwrap();
    let (left, right) = UnixStream::pair().unwrap();
    block_on(async {
        for (descriptor, direction) in [
            (reader.as_fd(), Direction::Read),
            (writer.as_fd(), Direction::Write),
            (left.as_fd(), Direction::Read),
            (right.as_fd(), Direction::Write),
        ] {
            let _endpoint = Endpoint::open(descriptor, direction).unwrap();
            assert!(!fcntl_getfl(descriptor).unwrap().contains(OFlags::NONBLOCK));
        }
    });
}

#[test]
fn a_read_that_is_dropped_loses_nothing() {
    let (reader, mut writer) = io::pipe().unwrap();
    block_on(async {
        let endpoint = Endpoint::open(reader.as_fd(), Direction::Read).unwrap();
        tokio::select! {
            biased;
            _ = endpoint.read() => panic!("nothing was written yet"),
            () = tokio::task::yield_now() => {}
        }
        writer.write_all(b"late").unwrap();
        assert_eq!(endpoint.read().await.unwrap(), "late");
    });
}

#[test]
fn null_and_a_closed_pipe_end_at_once_and_a_gone_reader_is_an_error() {
    let null = File::open("/dev/null").unwrap();
    let (closed, writer) = io::pipe().unwrap();
    drop(writer);
    let (reader, gone) = io::pipe().unwrap();
    drop(reader);
    block_on(async {
        assert!(
            read_to_end(&Endpoint::open(null.as_fd(), Direction::Read).unwrap())
                .await
                .is_empty()
        );
        assert!(
            read_to_end(&Endpoint::open(closed.as_fd(), Direction::Read).unwrap())
                .await
                .is_empty()
        );
        let error = Endpoint::open(gone.as_fd(), Direction::Write)
            .unwrap()
            .write_all(b"x")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    });
}
