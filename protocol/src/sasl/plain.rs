//! PLAIN: user name and password in one message, which only TLS keeps from others' eyes.
//!
//! The broker answers with empty bytes, or with an error code in SaslAuthenticate. Names and passwords are sent as they
//! are: neither Kafka nor this crate prepares them as RFC 4616 suggests (SASLprep).
//!
//! Sources: RFC 4616, KIP-43.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::wire::Secret;

/// The mechanism's name in SaslHandshake.
pub const MECHANISM: &str = "PLAIN";

/// The one message of the mechanism.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainMessage {
    /// As whom to act; brokers refuse anybody but the user itself. None is the user.
    pub authorization_id: Option<String>,
    /// The user's name.
    pub username: String,
    /// The password, UTF-8.
    pub password: Secret,
}

/// What a PLAIN message can't hold, or isn't one for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlainError {
    /// There have to be two NULs, between authorization id, user name and password.
    #[error("a PLAIN message has two NUL bytes, this one {0}")]
    Separators(usize),
    /// A NUL inside the named field would end it.
    #[error("the {0} of a PLAIN message cannot hold a NUL")]
    Nul(&'static str),
    /// The named field is empty.
    #[error("the {0} of a PLAIN message is empty")]
    Empty(&'static str),
    /// The named field is not UTF-8.
    #[error("the {0} of a PLAIN message is not UTF-8")]
    Utf8(&'static str),
}

impl PlainMessage {
    /// The message of a user that acts as itself.
    pub fn new(username: impl Into<String>, password: Secret) -> Self {
        PlainMessage { authorization_id: None, username: username.into(), password }
    }

    /// The bytes for SaslAuthenticate.
    ///
    /// # Errors
    /// An empty name or password, a NUL in any of the fields, a password that is no text.
    pub fn encode(&self) -> Result<Secret, PlainError> {
        let authorization_id = self.authorization_id.as_deref().unwrap_or_default();
        let password = text(PASSWORD, &self.password.0)?;
        let fields = [(AUTHORIZATION_ID, authorization_id), (USERNAME, &self.username), (PASSWORD, password)];
        if let Some((name, _)) = fields.iter().find(|(_, field)| field.contains('\0')) {
            return Err(PlainError::Nul(name));
        }
        if let Some((name, _)) = fields[1..].iter().find(|(_, field)| field.is_empty()) {
            return Err(PlainError::Empty(name));
        }
        Ok(Secret([authorization_id, &self.username, password].join("\0").into()))
    }

    /// Reads the message, as a broker does.
    ///
    /// # Errors
    /// Anything but three texts parted by NULs, of which only the first may be empty.
    pub fn decode(message: &Bytes) -> Result<Self, PlainError> {
        let fields: Vec<&[u8]> = message.splitn(4, |byte| *byte == 0).collect();
        let &[authorization_id, username, password] = fields.as_slice() else {
            return Err(PlainError::Separators(message.iter().filter(|byte| **byte == 0).count()));
        };
        let authorization_id = text(AUTHORIZATION_ID, authorization_id)?;
        let username = text(USERNAME, username)?;
        text(PASSWORD, password)?;
        if username.is_empty() {
            return Err(PlainError::Empty(USERNAME));
        }
        if password.is_empty() {
            return Err(PlainError::Empty(PASSWORD));
        }
        Ok(PlainMessage {
            authorization_id: (!authorization_id.is_empty()).then(|| authorization_id.to_owned()),
            username: username.to_owned(),
            password: Secret(message.slice_ref(password)),
        })
    }
}

const AUTHORIZATION_ID: &str = "authorization id";
const USERNAME: &str = "user name";
const PASSWORD: &str = "password";

fn text<'a>(name: &'static str, field: &'a [u8]) -> Result<&'a str, PlainError> {
    str::from_utf8(field).map_err(|_| PlainError::Utf8(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &'static str) -> Secret {
        Secret(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn three_fields_are_parted_by_nuls_both_ways() {
        let plain = PlainMessage::new("名前", secret("p,=w"));
        assert_eq!(plain.encode(), Ok(secret("\0名前\0p,=w")));
        let acting =
            PlainMessage { authorization_id: Some("b".into()), ..PlainMessage::new("a", secret(" ")) };
        assert_eq!(acting.encode(), Ok(secret("b\0a\0 ")));
        for message in [plain, acting] {
            assert_eq!(PlainMessage::decode(&message.encode().unwrap().0), Ok(message));
        }
    }

    #[test]
    fn what_would_be_read_otherwise_is_not_written() {
        let made = |authorization: &str, name: &str, password: &'static [u8]| {
            let authorization_id = Some(authorization.to_owned());
            PlainMessage { authorization_id, ..PlainMessage::new(name, Secret(Bytes::from_static(password))) }
                .encode()
        };
        assert_eq!(made("", "", b"p"), Err(PlainError::Empty("user name")));
        assert_eq!(made("", "a", b""), Err(PlainError::Empty("password")));
        assert_eq!(made("x\0", "a", b"p"), Err(PlainError::Nul("authorization id")));
        assert_eq!(made("", "a\0b", b"p"), Err(PlainError::Nul("user name")));
        assert_eq!(made("", "a", b"p\0"), Err(PlainError::Nul("password")));
        assert_eq!(made("", "a", b"\xff"), Err(PlainError::Utf8("password")));
    }

    #[test]
    fn hostile_messages_are_refused() {
        let read = |message: &'static [u8]| PlainMessage::decode(&Bytes::from_static(message));
        assert_eq!(read(b""), Err(PlainError::Separators(0)));
        assert_eq!(read(b"a\0b"), Err(PlainError::Separators(1)));
        assert_eq!(read(b"\0a\0b\0c\0"), Err(PlainError::Separators(4)));
        assert_eq!(read(b"\0\0p"), Err(PlainError::Empty("user name")));
        assert_eq!(read(b"\0a\0"), Err(PlainError::Empty("password")));
        assert_eq!(read(b"\xff\0a\0b"), Err(PlainError::Utf8("authorization id")));
        assert_eq!(read(b"\0\xff\0b"), Err(PlainError::Utf8("user name")));
        assert_eq!(read(b"\0a\0\xff"), Err(PlainError::Utf8("password")));
    }

    #[test]
    fn the_password_is_never_shown() {
        let plain = PlainMessage::new("alice", secret("hunter2"));
        let shown = format!("{plain:?} {:?}", plain.encode());
        assert!(shown.contains("alice") && !shown.contains("hunter2"), "{shown}");
    }
}
