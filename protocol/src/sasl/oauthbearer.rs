//! OAUTHBEARER: a bearer token, and what a broker says that doesn't want it.
//!
//! ```text
//! client                                       broker
//!   n,,^Aauth=Bearer <token>^A(key=value^A)*^A  ->
//!                                              <-  nothing: authenticated
//!                                              <-  {"status":"invalid_token",…}: refused
//!   ^A                                          ->
//!                                              <-  an error code in SaslAuthenticate
//! ```
//!
//! A token is not looked into: neither here nor in a client.
//!
//! Sources: RFC 7628, RFC 6750 (what a token looks like), KIP-255, KIP-342 (extensions).

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{json, name};
use crate::wire::Secret;

/// The mechanism's name in SaslHandshake.
pub const MECHANISM: &str = "OAUTHBEARER";

/// What a client answers to a [`Refusal`]: the broker then ends the exchange with an error.
pub const ABORT: &[u8] = b"\x01";

/// How many extensions a message may have, so that a hostile one costs no more than its bytes.
pub const MAX_EXTENSIONS: usize = 64;

/// The client's one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialResponse {
    /// As whom to act; brokers refuse anybody but the token's own principal. None is that one.
    pub authorization_id: Option<String>,
    /// The token: letters, digits and `-._~+/`, with `=` at the end.
    pub token: Secret,
    /// What else to tell the broker (`sasl.oauthbearer` extensions, such as `logicalCluster`), in order.
    pub extensions: Vec<(String, String)>,
}

/// Why a broker doesn't take a token: the JSON that it sends before it ends the exchange.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refusal {
    /// The status, such as `invalid_token`.
    pub status: String,
    /// The scope that a token would need.
    pub scope: Option<String>,
    /// Where the configuration of the issuer can be read.
    pub openid_configuration: Option<String>,
}

/// What an OAUTHBEARER message can't hold, or isn't one for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OauthBearerError {
    /// The message isn't built as RFC 7628 says.
    #[error("the OAUTHBEARER message is malformed at its {0}")]
    Malformed(&'static str),
    /// The authorization id is empty or holds a NUL.
    #[error("the authorization id is empty or holds a NUL")]
    AuthorizationId,
    /// The token is empty, or holds what no bearer token does.
    #[error("the token is empty or holds more than letters, digits, `-._~+/` and `=` at its end")]
    Token,
    /// An extension's name is no word of ASCII letters, is `auth`, or comes twice.
    #[error("extension {0} has a name that is not letters only, is `auth`, or is there twice")]
    ExtensionName(usize),
    /// An extension's value is empty or holds what the format can't.
    #[error("extension {0} has a value that is empty or not printable ASCII")]
    ExtensionValue(usize),
    /// More than [`MAX_EXTENSIONS`].
    #[error("there are more than {MAX_EXTENSIONS} extensions")]
    TooManyExtensions,
}

impl InitialResponse {
    /// A token without extensions, of a client that acts as itself.
    pub fn new(token: Secret) -> Self {
        InitialResponse { authorization_id: None, token, extensions: Vec::new() }
    }

    /// The bytes for SaslAuthenticate.
    ///
    /// # Errors
    /// A token, name or extension that the format can't hold.
    pub fn encode(&self) -> Result<Secret, OauthBearerError> {
        let token = bearer(&self.token.0)?;
        let mut message = "n,".to_owned();
        if let Some(id) = &self.authorization_id {
            message.push_str("a=");
            message.push_str(&name::escape(id).ok_or(OauthBearerError::AuthorizationId)?);
        }
        message.push_str(",\x01auth=Bearer ");
        message.push_str(token);
        message.push('\x01');
        let mut known = Vec::new();
        for (key, value) in &self.extensions {
            extension(&mut known, key, value)?;
            message.extend([key, "=", value, "\x01"]);
        }
        message.push('\x01');
        Ok(Secret(message.into()))
    }

    /// Reads the message, as a broker does.
    ///
    /// # Errors
    /// Whatever isn't built as RFC 7628 says, and a token, name or extension that can't be.
    pub fn decode(message: &Bytes) -> Result<Self, OauthBearerError> {
        let text = str::from_utf8(message).map_err(|_| OauthBearerError::Malformed("text"))?;
        let (header, rest) = text.split_once('\x01').ok_or(OauthBearerError::Malformed("header"))?;
        let id = header.strip_prefix("n,").and_then(|rest| rest.strip_suffix(','));
        let authorization_id = match id.ok_or(OauthBearerError::Malformed("header"))? {
            "" => None,
            id => {
                let id = id.strip_prefix("a=").ok_or(OauthBearerError::Malformed("header"))?;
                Some(name::unescape(id).ok_or(OauthBearerError::AuthorizationId)?)
            }
        };
        let pairs = rest.strip_suffix("\x01\x01").ok_or(OauthBearerError::Malformed("end"))?;
        let mut token = None;
        let mut extensions: Vec<(String, String)> = Vec::new();
        let mut known = Vec::new();
        for (at, pair) in pairs.split('\x01').enumerate() {
            let (key, value) = pair.split_once('=').ok_or(OauthBearerError::Malformed("pairs"))?;
            if key != AUTH {
                extension(&mut known, key, value)?;
                extensions.push((key.to_owned(), value.to_owned()));
            } else if token.replace(value).is_some() {
                return Err(OauthBearerError::ExtensionName(at));
            }
        }
        let (scheme, token) =
            token.and_then(|auth| auth.split_once(' ')).ok_or(OauthBearerError::Malformed(AUTH))?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(OauthBearerError::Malformed("scheme"));
        }
        let token = bearer(token.trim_start_matches(' ').as_bytes())?;
        Ok(InitialResponse {
            authorization_id,
            token: Secret(message.slice_ref(token.as_bytes())),
            extensions,
        })
    }
}

impl Refusal {
    /// The JSON.
    pub fn encode(&self) -> Bytes {
        let members = [
            ("status", Some(&self.status)),
            ("scope", self.scope.as_ref()),
            ("openid-configuration", self.openid_configuration.as_ref()),
        ];
        let present = members.iter().filter_map(|(key, text)| Some((key, (*text)?)));
        let pairs: Vec<String> =
            present.map(|(key, text)| format!("\"{key}\":{}", json::quoted(text))).collect();
        format!("{{{}}}", pairs.join(",")).into()
    }

    /// Reads the JSON. Members that are not known, or no strings, are passed over.
    ///
    /// # Errors
    /// Bytes that are no JSON object with a text `status`.
    pub fn decode(challenge: &[u8]) -> Result<Self, OauthBearerError> {
        let text = str::from_utf8(challenge).map_err(|_| OauthBearerError::Malformed("text"))?;
        let members = json::string_members(text).ok_or(OauthBearerError::Malformed("JSON"))?;
        let mut refusal = Refusal::default();
        let mut has_status = false;
        for (key, text) in members {
            match key.as_str() {
                "status" => {
                    refusal.status = text;
                    has_status = true;
                }
                "scope" => refusal.scope = Some(text),
                "openid-configuration" => refusal.openid_configuration = Some(text),
                _ => {}
            }
        }
        if has_status { Ok(refusal) } else { Err(OauthBearerError::Malformed("status")) }
    }
}

const AUTH: &str = "auth";

/// The token as text, if it is one: RFC 6750's `b64token`.
fn bearer(token: &[u8]) -> Result<&str, OauthBearerError> {
    let text = str::from_utf8(token).map_err(|_| OauthBearerError::Token)?;
    let body = text.trim_end_matches('=');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    if body.is_empty() || !body.bytes().all(allowed) {
        return Err(OauthBearerError::Token);
    }
    Ok(text)
}

/// Checks one more extension.
fn extension<'a>(known: &mut Vec<&'a str>, key: &'a str, value: &str) -> Result<(), OauthBearerError> {
    let number = known.len();
    if number == MAX_EXTENSIONS {
        return Err(OauthBearerError::TooManyExtensions);
    }
    let word = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !word || key == AUTH || known.contains(&key) {
        return Err(OauthBearerError::ExtensionName(number));
    }
    if value.is_empty()
        || !value.bytes().all(|byte| matches!(byte, 0x21..=0x7e | b' ' | b'\t' | b'\r' | b'\n'))
    {
        return Err(OauthBearerError::ExtensionValue(number));
    }
    known.push(key);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &'static str) -> Secret {
        Secret(Bytes::from_static(text.as_bytes()))
    }

    fn read(message: &'static str) -> Result<InitialResponse, OauthBearerError> {
        InitialResponse::decode(&Bytes::from_static(message.as_bytes()))
    }

    fn with(extensions: &[(&str, &str)]) -> InitialResponse {
        let extensions =
            extensions.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        InitialResponse { extensions, ..InitialResponse::new(secret("a.b-c==")) }
    }

    #[test]
    fn tokens_ids_and_extensions_come_back() {
        let plain = with(&[]);
        assert_eq!(plain.encode(), Ok(secret("n,,\x01auth=Bearer a.b-c==\x01\x01")));
        let full =
            InitialResponse { authorization_id: Some("a,b".into()), ..with(&[("x", "1=2"), ("Y", "b c")]) };
        assert_eq!(full.encode(), Ok(secret("n,a=a=2Cb,\x01auth=Bearer a.b-c==\x01x=1=2\x01Y=b c\x01\x01")));
        for message in [plain, full] {
            assert_eq!(InitialResponse::decode(&message.encode().unwrap().0), Ok(message));
        }
    }

    #[test]
    fn the_scheme_is_read_whatever_its_case_and_wherever_it_stands() {
        assert_eq!(read("n,,\x01x=1\x01auth=bEARER   a.b-c==\x01\x01"), Ok(with(&[("x", "1")])));
    }

    #[test]
    fn what_the_format_cannot_hold_is_not_written() {
        let token = |token| InitialResponse::new(secret(token)).encode();
        for wrong in ["", "=", "a b", "a\x01b", "a=b", "ä"] {
            assert_eq!(token(wrong), Err(OauthBearerError::Token), "{wrong:?}");
        }
        assert_eq!(with(&[("a", "1"), ("auth", "1")]).encode(), Err(OauthBearerError::ExtensionName(1)));
        assert_eq!(with(&[("a1", "1")]).encode(), Err(OauthBearerError::ExtensionName(0)));
        assert_eq!(
            with(&[("b", "1"), ("a", "2"), ("b", "3")]).encode(),
            Err(OauthBearerError::ExtensionName(2))
        );
        assert_eq!(with(&[("a", "")]).encode(), Err(OauthBearerError::ExtensionValue(0)));
        assert_eq!(with(&[("a", "x\x01y")]).encode(), Err(OauthBearerError::ExtensionValue(0)));
        let names: Vec<String> = (0..=MAX_EXTENSIONS).map(|count| "x".repeat(count + 1)).collect();
        let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
        assert!(with(&many[1..]).encode().is_ok());
        assert_eq!(with(&many).encode(), Err(OauthBearerError::TooManyExtensions));
        let nobody = InitialResponse { authorization_id: Some(String::new()), ..with(&[]) };
        assert_eq!(nobody.encode(), Err(OauthBearerError::AuthorizationId));
    }

    #[test]
    fn hostile_messages_are_refused() {
        for (message, place) in [
            ("", "header"),
            ("n,,auth=Bearer a", "header"),
            ("y,,\x01auth=Bearer a\x01\x01", "header"),
            ("p=tls-unique,,\x01auth=Bearer a\x01\x01", "header"),
            ("n,b=x,\x01auth=Bearer a\x01\x01", "header"),
            ("n,,\x01auth=Bearer a\x01", "end"),
            ("n,,\x01auth=Bearer a", "end"),
            ("n,,\x01auth\x01\x01", "pairs"),
            ("n,,\x01auth=Bearer a\x01\x01x=1\x01\x01", "pairs"),
            ("n,,\x01x=1\x01\x01", "auth"),
            ("n,,\x01auth=Bearer\x01\x01", "auth"),
            ("n,,\x01auth=Basic a\x01\x01", "scheme"),
        ] {
            assert_eq!(read(message), Err(OauthBearerError::Malformed(place)), "{message:?}");
        }
        assert_eq!(read("n,a=x=41,\x01auth=Bearer a\x01\x01"), Err(OauthBearerError::AuthorizationId));
        assert_eq!(read("n,,\x01auth=Bearer a b\x01\x01"), Err(OauthBearerError::Token));
        assert_eq!(
            read("n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01"),
            Err(OauthBearerError::ExtensionName(1))
        );
        assert_eq!(read("n,,\x01auth=Bearer a\x01x=ä\x01\x01"), Err(OauthBearerError::ExtensionValue(0)));
        let no_text = Bytes::from_static(b"n,,\x01auth=Bearer \xff\x01\x01");
        assert_eq!(InitialResponse::decode(&no_text), Err(OauthBearerError::Malformed("text")));
    }

    #[test]
    fn refusals_come_back_and_ignore_what_they_do_not_know() {
        let bare = Refusal { status: "invalid_token".into(), ..Default::default() };
        assert_eq!(bare.encode(), "{\"status\":\"invalid_token\"}");
        let full = Refusal {
            scope: Some("a \"b\"".into()),
            openid_configuration: Some("https://x".into()),
            ..bare.clone()
        };
        for refusal in [bare.clone(), full] {
            assert_eq!(Refusal::decode(&refusal.encode()), Ok(refusal));
        }
        assert_eq!(Refusal::decode(b"{\"status\":\"invalid_token\",\"scope\":null,\"x\":[1]}"), Ok(bare));
        assert_eq!(Refusal::decode(b"{\"scope\":\"a\"}"), Err(OauthBearerError::Malformed("status")));
        assert_eq!(Refusal::decode(b"<html>"), Err(OauthBearerError::Malformed("JSON")));
        assert_eq!(Refusal::decode(b"\xff"), Err(OauthBearerError::Malformed("text")));
    }

    #[test]
    fn the_token_is_never_shown() {
        let message = InitialResponse::new(secret("eyJhbGciOi"));
        let shown = format!("{message:?} {:?}", message.encode());
        assert!(!shown.contains("eyJ"), "{shown}");
    }
}
