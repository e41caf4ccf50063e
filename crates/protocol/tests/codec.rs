//! Frames from peers that may be anything.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use agentkernel_protocol::{
    Boot, ByteBuf, Decoder, DirectoryEntry, EntryKind, ExecRequest, ExitReport, FailureKind, FileRequest,
    FrameError, Hello, MAX_CHUNK, MAX_ENTRIES, MAX_FRAME, MAX_STRINGS, ToGuest, ToHost, data, encode,
    encode_in_place,
};
use proptest::{collection::vec, option, prelude::*};
use serde::{Serialize, de::DeserializeOwned};

fn bytes() -> impl Strategy<Value = ByteBuf> {
    vec(any::<u8>(), 0..300).prop_map(ByteBuf::from)
}

fn strings() -> impl Strategy<Value = Vec<ByteBuf>> {
    vec(bytes(), 0..5)
}

fn hello() -> impl Strategy<Value = Hello> {
    (any::<u32>(), any::<u32>(), any::<u32>(), ".{0,20}").prop_map(|(magic, oldest, newest, software)| {
        Hello {
            magic,
            oldest,
            newest,
            software,
        }
    })
}

fn exec() -> impl Strategy<Value = ExecRequest> {
    let rest = (
        option::of((any::<u16>(), any::<u16>())),
        any::<bool>(),
        option::of("[0-9a-f]{8}"),
    );
    (strings(), strings(), bytes(), rest).prop_map(|(argv, env, workdir, (terminal, piped_stdin, detach))| {
        ExecRequest {
            argv,
            env,
            workdir,
            terminal,
            piped_stdin,
            detach,
        }
    })
}

fn to_guest() -> impl Strategy<Value = ToGuest> {
    prop_oneof![
        hello().prop_map(ToGuest::Hello),
        (strings(), bytes(), any::<bool>()).prop_map(|(env, workdir, tied_to_owner)| ToGuest::Boot(Boot {
            env,
            workdir,
            tied_to_owner,
            ..Boot::default()
        })),
        exec().prop_map(ToGuest::Exec),
        bytes().prop_map(ToGuest::Stdin),
        (any::<u16>(), any::<u16>()).prop_map(|(rows, columns)| ToGuest::Resize { rows, columns }),
        any::<u32>().prop_map(ToGuest::OutputCredit),
        (bytes(), any::<u32>(), any::<Option<i64>>())
            .prop_map(|(path, mode, modified)| ToGuest::File(FileRequest::Write { path, mode, modified })),
        ".{0,20}".prop_map(ToGuest::KillDetached),
        Just(ToGuest::Ping),
    ]
}

fn entry() -> impl Strategy<Value = DirectoryEntry> {
    (bytes(), any::<u32>(), any::<u64>(), any::<i64>(), bytes()).prop_map(
        |(name, mode, size, modified, link_target)| DirectoryEntry {
            name,
            kind: EntryKind::Other,
            mode,
            size,
            modified,
            link_target,
        },
    )
}

fn to_host() -> impl Strategy<Value = ToHost> {
    prop_oneof![
        any::<u32>().prop_map(|pid| ToHost::Started { pid }),
        bytes().prop_map(ToHost::Stdout),
        any::<u8>().prop_map(|code| ToHost::Exited(ExitReport::Code(code))),
        ".{0,50}".prop_map(|message| ToHost::Failed {
            kind: FailureKind::Denied,
            message
        }),
        vec(entry(), 0..5).prop_map(ToHost::Entries),
    ]
}

fn frame<M: Serialize>(stream: u32, message: &M) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(stream, message, &mut bytes).unwrap();
    bytes
}

fn raw(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_le_bytes(), body].concat()
}

/// All messages of `bytes`, fed in pieces of this size.
fn decode<M: DeserializeOwned>(bytes: &[u8], piece: usize) -> Result<Vec<(u32, M)>, FrameError> {
    let (mut decoder, mut messages) = (Decoder::new(), Vec::new());
    for mut rest in bytes.chunks(piece.max(1)) {
        while !rest.is_empty() {
            let space = decoder.space();
            let length = space.len().min(rest.len());
            space[..length].copy_from_slice(&rest[..length]);
            decoder.advance(length);
            rest = &rest[length..];
            while let Some(message) = decoder.decode()? {
                messages.push(message);
            }
        }
    }
    Ok(messages)
}

proptest! {
    #[test]
    fn messages_survive_in_pieces_of_any_size(
        messages in vec((any::<u32>(), to_guest()), 1..8),
        piece in 1_usize..400,
    ) {
        let bytes: Vec<u8> = messages.iter().flat_map(|(stream, message)| frame(*stream, message)).collect();
        prop_assert_eq!(decode::<ToGuest>(&bytes, piece).unwrap(), messages);
    }

    #[test]
    fn answers_survive_too(messages in vec((any::<u32>(), to_host()), 1..8), piece in 1_usize..400) {
        let bytes: Vec<u8> = messages.iter().flat_map(|(stream, message)| frame(*stream, message)).collect();
        prop_assert_eq!(decode::<ToHost>(&bytes, piece).unwrap(), messages);
    }

    #[test]
    fn a_message_that_is_cut_short_is_an_error(message in to_guest()) {
        let whole = frame(1, &message);
        for length in 5..whole.len() - 4 {
            prop_assert!(decode::<ToGuest>(&raw(&whole[4..4 + length]), 64).is_err());
        }
    }

    #[test]
    fn a_message_with_more_behind_it_is_an_error(message in to_guest(), more in vec(any::<u8>(), 1..9)) {
        let body = [&frame(1, &message)[4..], &more].concat();
        prop_assert!(decode::<ToGuest>(&raw(&body), 64).is_err());
    }

    #[test]
    fn garbage_never_panics(bytes in vec(any::<u8>(), 0..600), piece in 1_usize..100) {
        let _ = decode::<ToGuest>(&bytes, piece);
        let _ = decode::<ToHost>(&raw(&bytes), piece);
    }

    #[test]
    fn data_in_place_is_the_same_as_a_message(length in 1_usize..=MAX_CHUNK, stream in any::<u32>()) {
        let content: Vec<u8> = (0..length).map(|position| position as u8).collect();
        let mut bytes = b"before".to_vec();
        let written = encode_in_place(stream, data::STDERR, MAX_CHUNK, &mut bytes, |space| {
            space[..length].copy_from_slice(&content);
            Ok::<_, ()>(length)
        });
        prop_assert_eq!(written, Ok(length));
        prop_assert_eq!(&bytes[6..], &frame(stream, &ToHost::Stderr(content.into()))[..]);
    }
}

#[test]
fn every_kind_of_data_in_place_is_its_message() {
    let in_place = |variant| {
        let mut bytes = Vec::new();
        let filled = encode_in_place(3, variant, 9, &mut bytes, |space| {
            space.fill(7);
            Ok::<_, ()>(9)
        });
        assert_eq!(filled, Ok(9));
        bytes
    };
    let content = || ByteBuf::from(vec![7; 9]);
    assert_eq!(in_place(data::STDOUT), frame(3, &ToHost::Stdout(content())));
    assert_eq!(in_place(data::STDERR), frame(3, &ToHost::Stderr(content())));
    assert_eq!(
        in_place(data::FILE_TO_HOST),
        frame(3, &ToHost::FileData(content()))
    );
    assert_eq!(in_place(data::STDIN), frame(3, &ToGuest::Stdin(content())));
    assert_eq!(
        in_place(data::FILE_TO_GUEST),
        frame(3, &ToGuest::FileData(content()))
    );
}

#[test]
fn nothing_is_written_where_nothing_was_read() {
    let mut bytes = b"x".to_vec();
    assert_eq!(
        encode_in_place(1, data::STDOUT, 10, &mut bytes, |_| Ok::<_, ()>(0)),
        Ok(0)
    );
    assert_eq!(
        encode_in_place(1, data::STDOUT, 10, &mut bytes, |_| Err(5)),
        Err(5)
    );
    assert_eq!(bytes, b"x");
}

#[test]
fn lengths_outside_the_limits_are_refused_before_the_bytes_come() {
    for (length, error) in [
        (0, FrameError::TooShort(0)),
        (4, FrameError::TooShort(4)),
        (MAX_FRAME as u32 + 1, FrameError::TooLarge(MAX_FRAME as u32 + 1)),
        (u32::MAX, FrameError::TooLarge(u32::MAX)),
    ] {
        let mut decoder = Decoder::new();
        decoder.push(&length.to_le_bytes());
        assert_eq!(decoder.decode::<ToGuest>(), Err(error));
        assert!(decoder.space().len() <= 1 << 16, "memory was taken for {length}");
    }
}

#[test]
fn a_message_above_the_limit_is_not_sent() {
    let mut bytes = b"x".to_vec();
    let large = ToGuest::Stdin(vec![0; MAX_FRAME].into());
    assert!(matches!(
        encode(1, &large, &mut bytes),
        Err(FrameError::TooLarge(_))
    ));
    assert_eq!(bytes, b"x");
    let largest = ToGuest::Stdin(vec![1; MAX_FRAME - 8].into());
    assert_eq!(
        decode::<ToGuest>(&frame(9, &largest), 10_000).unwrap(),
        [(9, largest)]
    );
}

#[test]
fn a_length_within_a_message_cannot_exceed_the_frame() {
    // Stream 1, Stdin, a length of four gigabytes.
    let body = [1, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3];
    assert_eq!(decode::<ToGuest>(&raw(&body), 64), Err(FrameError::Malformed(1)));
}

#[test]
fn lists_of_nothing_are_bounded() {
    // Empty strings are one byte each on the wire: a frame could hold a million.
    let environment = |count: usize| {
        let boot = Boot {
            env: vec![ByteBuf::new(); count],
            ..Boot::default()
        };
        decode::<ToGuest>(&frame(0, &ToGuest::Boot(boot)), 1 << 16)
    };
    assert!(environment(MAX_STRINGS).is_ok());
    assert_eq!(environment(MAX_STRINGS + 1), Err(FrameError::Malformed(0)));
    let ids =
        |count: usize| decode::<ToHost>(&frame(2, &ToHost::Detached(vec![String::new(); count])), 1 << 16);
    assert!(ids(MAX_ENTRIES).is_ok());
    assert_eq!(ids(MAX_ENTRIES + 1), Err(FrameError::Malformed(2)));
}

#[test]
fn a_hundred_thousand_frames_of_noise_are_survived() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let (mut valid, mut refused) = (0, 0);
    for _ in 0..100_000 {
        let length = (random() % 64) as usize;
        let mut body: Vec<u8> = (0..length).map(|_| random() as u8).collect();
        if let Some(variant) = body.get_mut(4) {
            // Mostly a variant that exists, so that its fields are reached.
            *variant %= 20;
        }
        let outcomes = [
            decode::<ToGuest>(&raw(&body), 16).map(|messages| messages.len()),
            decode::<ToHost>(&raw(&body), 16).map(|messages| messages.len()),
        ];
        for outcome in outcomes {
            outcome.map_or_else(|_| refused += 1, |count| valid += count);
        }
    }
    assert!(
        valid > 100 && refused > 100_000,
        "{valid} valid, {refused} refused"
    );
}
