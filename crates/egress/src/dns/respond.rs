//! Answers to the sandbox, written from what was decided and never copied from another message as bytes.

use std::{
    net::IpAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use domain::{
    base::{
        MessageBuilder, Rtype, Ttl,
        iana::{Class, Rcode, exterr::ExtendedErrorCode},
        message_builder::AnswerBuilder,
        opt::ExtendedError,
        record::Record,
    },
    rdata::{A, Aaaa, AllRecordData},
};

use super::{cache::Found, question::Question};

/// Programs ask again after this, so that a change of the policy is soon seen.
const LONGEST_LIFE: Duration = Duration::from_secs(300);

#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Addresses(Vec<IpAddr>, Duration),
    Records(Rc<Found>),
    /// The name exists and has none of this.
    Nothing,
    /// The name does not exist.
    Missing,
    Denied(String),
    Refused,
    Failed,
}

impl Outcome {
    fn code(&self) -> Rcode {
        match self {
            Self::Addresses(..) | Self::Nothing => Rcode::NOERROR,
            Self::Records(found) if found.missing => Rcode::NXDOMAIN,
            Self::Records(_) => Rcode::NOERROR,
            Self::Missing | Self::Denied(_) => Rcode::NXDOMAIN,
            Self::Refused => Rcode::REFUSED,
            Self::Failed => Rcode::SERVFAIL,
        }
    }
}

/// Bytes of an option record without options.
const OPTION: usize = 11;

/// At most `room` bytes; a longer answer is cut and says so.
pub(super) fn write(question: &Question, outcome: &Outcome, room: usize) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec();
    builder.set_push_limit(room.saturating_sub(OPTION));
    let mut answer = match builder.start_answer(&question.message, outcome.code()) {
        Ok(answer) => answer,
        // Only if the question alone is too long, which 512 bytes exclude.
        Err(_) => {
            return MessageBuilder::new_vec()
                .start_error(&question.message, Rcode::SERVFAIL)
                .finish();
        }
    };
    answer.header_mut().set_ra(true);
    let complete = match outcome {
        Outcome::Addresses(addresses, rest) => push_addresses(&mut answer, question, addresses, *rest),
        Outcome::Records(found) => push_records(&mut answer, found),
        _ => true,
    };
    if !complete {
        answer.rewind();
        answer.header_mut().set_tc(true);
    }
    let mut additional = answer.additional();
    if question.extended {
        // Room was left for it.
        additional.clear_push_limit();
        let _ = additional.opt(|option| {
            option.set_udp_payload_size(1232);
            if let Outcome::Denied(reason) = outcome {
                let text: String = reason.chars().take(200).collect();
                if let Ok(error) = ExtendedError::<Vec<u8>>::new_with_str(ExtendedErrorCode::BLOCKED, &text) {
                    option.push(&error)?;
                }
            }
            Ok(())
        });
    }
    additional.finish()
}

fn push_addresses(
    answer: &mut AnswerBuilder<Vec<u8>>,
    question: &Question,
    addresses: &[IpAddr],
    rest: Duration,
) -> bool {
    let Some(name) = question.wire_name() else {
        return true;
    };
    let life = Ttl::from_duration_lossy(rest.min(LONGEST_LIFE));
    addresses.iter().all(|address| {
        let pushed = match address {
            IpAddr::V4(four) => answer.push((&name, Class::IN, life, A::new(*four))),
            IpAddr::V6(six) => answer.push((&name, Class::IN, life, Aaaa::new(*six))),
        };
        pushed.is_ok()
    })
}

/// The records of the answer section, except those that would name another way in.
fn push_records(answer: &mut AnswerBuilder<Vec<u8>>, found: &Found) -> bool {
    let Ok(section) = found.message.answer() else {
        return true;
    };
    let age = u32::try_from(found.age(Instant::now()).as_secs()).unwrap_or(u32::MAX);
    let records = section.limit_to_in::<AllRecordData<_, _>>();
    for record in records.flatten() {
        let barred = [
            Rtype::HTTPS,
            Rtype::SVCB,
            Rtype::A,
            Rtype::AAAA,
            Rtype::OPT,
            Rtype::NULL,
        ];
        if barred.contains(&record.rtype()) {
            continue;
        }
        let life = Ttl::from_secs(
            record
                .ttl()
                .as_secs()
                .saturating_sub(age)
                .min(LONGEST_LIFE.as_secs() as u32),
        );
        let record = Record::new(record.owner(), Class::IN, life, record.data());
        if answer.push(record).is_err() {
            return false;
        }
    }
    true
}
