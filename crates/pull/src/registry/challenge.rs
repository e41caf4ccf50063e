//! What a registry wants before it answers: the `WWW-Authenticate` header, judged.

use http_auth::parser::ChallengeParser;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Challenge {
    Basic,
    Bearer {
        /// Where tokens are to be had.
        realm: String,
        service: Option<String>,
    },
}

/// The strongest one that we can meet. None: there is none.
pub(crate) fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let mut basic = None;
    for header in headers.get_all(WWW_AUTHENTICATE) {
        let Ok(text) = header.to_str() else { continue };
        // Nothing behind a syntax error can be told apart.
        for parsed in ChallengeParser::new(text).map_while(Result::ok) {
            if parsed.scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            }
            if parsed.scheme.eq_ignore_ascii_case("bearer") {
                let find = |name: &str| {
                    let found = parsed
                        .params
                        .iter()
                        .find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.to_unescaped())
                };
                if let Some(realm) = find("realm") {
                    return Some(Challenge::Bearer {
                        realm,
                        service: find("service"),
                    });
                }
            }
        }
    }
    basic
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(lines: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(WWW_AUTHENTICATE, line.parse().expect("a valid header"));
        }
        challenge(&headers)
    }

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
        })
    }

    #[test]
    fn challenges_of_real_registries_are_understood() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull""#;
        assert_eq!(
            parse(&[hub]),
            bearer("https://auth.docker.io/token", Some("registry.docker.io"))
        );
        assert_eq!(
            parse(&[r#"bearer REALM="https://a/t""#]),
            bearer("https://a/t", None)
        );
        assert_eq!(parse(&[r#"Basic realm="Registry""#]), Some(Challenge::Basic));
        assert_eq!(
            parse(&[r#"Basic realm="x""#, r#"Bearer realm="https://a/t""#]),
            bearer("https://a/t", None)
        );
        assert_eq!(parse(&["Negotiate", "Bearer service=\"x\""]), None);
        assert_eq!(parse(&[]), None);
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(text in "[ -~]{0,200}") {
            let mut headers = HeaderMap::new();
            headers.append(WWW_AUTHENTICATE, text.parse().expect("printable"));
            let _ = challenge(&headers);
        }
    }
}
