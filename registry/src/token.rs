//! How a registry wants to be asked: by anybody, with a user's password, or with a token from a
//! server that it trusts (distribution specification, "Token Authentication").

use http_auth::parser::ChallengeParser;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;

use crate::credentials::Credentials;
use crate::http::{Asking, Fault, get, read};

/// Largest answer of a token server that is read, in bytes: `MaxAuthTokenBodySize` of podman's
/// image library.
const MAX_TOKEN_BYTES: u64 = 1 << 20;

/// What a token server is told of.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    realm: String,
    service: Option<String>,
}

/// As a token server writes it: by one name, by the other, or by both.
#[derive(Deserialize)]
struct Granted {
    token: Option<String>,
    access_token: Option<String>,
}

/// Finds out how the registry at `base`, as in `https://HOST`, wants to be asked for `repository`.
pub(crate) async fn asking(
    client: &Client,
    base: &str,
    repository: &str,
    credentials: Option<&Credentials>,
) -> Result<Asking, Fault> {
    let user = credentials.map_or(Asking::Anybody, |user| Asking::User(user.clone()));
    // Of the answer only its head is read.
    let answer = get(client, &format!("{base}/v2/"), &Asking::Anybody, None).await?;
    let Some(challenge) = challenge(answer.headers()) else {
        return Ok(user);
    };
    let mut url = Url::parse(&challenge.realm).map_err(|_| Fault::Realm)?;
    // A password goes over the network as safely as it would to the registry.
    if base.starts_with("https:") && url.scheme() != "https" {
        return Err(Fault::Realm);
    }
    let service = challenge.service.iter().map(|it| ("service", it.clone()));
    let scope = ("scope", format!("repository:{repository}:pull"));
    url.query_pairs_mut().extend_pairs(service.chain([scope]));
    let answer = get(client, url.as_str(), &user, None).await?;
    if answer.status() != StatusCode::OK {
        return Err(Fault::Status(answer.status()));
    }
    let bytes = read(answer, MAX_TOKEN_BYTES).await;
    let bytes = bytes.map_err(|fault| match fault {
        Fault::TooLong(limit) => Fault::LongToken(limit),
        other => other,
    })?;
    let granted: Granted = serde_json::from_slice(&bytes).map_err(|_| Fault::NoToken)?;
    let token = granted.token.or(granted.access_token);
    Ok(Asking::Token(token.ok_or(Fault::NoToken)?))
}

/// The first that names a token server.
fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let mut challenges = values.flat_map(|value| ChallengeParser::new(value).flatten());
    challenges.find_map(|challenge| {
        if !challenge.scheme.eq_ignore_ascii_case("Bearer") {
            return None;
        }
        let parameter = |name: &str| {
            let found = challenge.params.iter();
            let mut found = found.filter(|(key, _)| key.eq_ignore_ascii_case(name));
            found.next().map(|(_, value)| value.to_unescaped())
        };
        Some(Challenge {
            realm: parameter("realm")?,
            service: parameter("service"),
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn challenge_of(values: &[&[u8]]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for &value in values {
            headers.append(WWW_AUTHENTICATE, value.try_into().ok()?);
        }
        challenge(&headers)
    }

    #[test]
    fn the_token_server_is_the_first_that_is_named() {
        let server = |realm: &str, service: Option<&str>| {
            Some(Challenge {
                realm: realm.into(),
                service: service.map(str::to_owned),
            })
        };
        for (values, expected) in [
            (&[][..], None),
            (&["Basic realm=\"x\""], None),
            (&["Bearer service=\"s\""], None),
            (
                &["Bearer realm=\"https://a/t\",service=\"s\",scope=\"x\""],
                server("https://a/t", Some("s")),
            ),
            (
                &["Basic realm=\"x\", bearer REALM=\"https://a/\\\"t\""],
                server("https://a/\"t", None),
            ),
            (
                &["Basic realm=\"x\"", "Bearer realm=\"https://a\""],
                server("https://a", None),
            ),
            (&["Bearer realm=\"https://a"], None),
        ] {
            let values: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
            assert_eq!(challenge_of(&values), expected, "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_the_parser_panic(value: Vec<u8>) {
            let _ = challenge_of(&[&value]);
            let _ = challenge_of(&[&[b"Bearer realm=", &value[..]].concat()]);
        }
    }
}
