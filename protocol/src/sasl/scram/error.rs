//! What can go wrong in an exchange.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt::{self, Write as _};

use super::{MAX_ITERATIONS, MIN_ITERATIONS};

/// Why an exchange ended without success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScramError {
    /// The named message isn't built as RFC 5802 says; the field is what was expected.
    #[error("the {message} is malformed: it should have {field}")]
    Malformed {
        /// Which message.
        message: &'static str,
        /// What it should have.
        field: &'static str,
    },
    /// The peer insists on an extension, and none is known here.
    #[error("the peer demands an extension of SCRAM that is not supported")]
    MandatoryExtension,
    /// The server's nonce doesn't begin with the client's, or adds nothing: somebody replays an old exchange.
    #[error("the server's nonce does not continue the client's")]
    NonceNotContinued,
    /// The client's last message has another nonce than the server's first.
    #[error("the client's nonce is not the one that the server sent")]
    NonceDiffers,
    /// Too few iterations: the password would be cheap to guess for whoever reads along.
    #[error("{0} iterations are fewer than {MIN_ITERATIONS}")]
    TooFewIterations(u32),
    /// Too many iterations: they would keep this side busy.
    #[error("{0} iterations are more than {MAX_ITERATIONS}")]
    TooManyIterations(u32),
    /// The server didn't prove that it knows the user's keys; it may not be the one it claims to be.
    #[error("the server's signature is wrong: it does not know the credentials of this user")]
    WrongSignature,
    /// The client didn't prove that it knows the password.
    #[error("the client's proof is wrong: the password does not match")]
    WrongProof,
    /// The server says no.
    #[error("the server refuses: {0}")]
    Refused(ServerError),
    /// The client acts as somebody else, which Kafka has no rule for.
    #[error("the client asks to act as another user")]
    AuthorizationId,
    /// Channel binding is asked for, or its data don't fit the first message.
    #[error("channel binding is not supported, or its data differ")]
    ChannelBinding,
    /// A name that no message can hold: empty, or with a NUL.
    #[error("a user's name is not empty and holds no NUL")]
    Username,
    /// A nonce that no message can hold: empty, or with a comma or what is not printable ASCII.
    #[error("a nonce is not empty and of printable ASCII without commas")]
    Nonce,
    /// An extension that no message can hold.
    #[error(
        "an extension is a name of ASCII letters and a value without comma and NUL, and there are not too many"
    )]
    Extension,
    /// A credential or salted password of another mechanism.
    #[error("the credential belongs to another mechanism")]
    OtherMechanism,
    /// The message isn't due, or an earlier one failed.
    #[error("this message is not due, or the exchange has failed already")]
    OutOfOrder,
}

/// What a server names as the reason in its last message (`server-error-value`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerError {
    /// `invalid-encoding`
    InvalidEncoding,
    /// `extensions-not-supported`
    ExtensionsNotSupported,
    /// `invalid-proof`
    InvalidProof,
    /// `channel-bindings-dont-match`
    ChannelBindingsDontMatch,
    /// `server-does-support-channel-binding`
    ServerDoesSupportChannelBinding,
    /// `channel-binding-not-supported`
    ChannelBindingNotSupported,
    /// `unsupported-channel-binding-type`
    UnsupportedChannelBindingType,
    /// `unknown-user`
    UnknownUser,
    /// `invalid-username-encoding`
    InvalidUsernameEncoding,
    /// `no-resources`
    NoResources,
    /// `other-error`
    OtherError,
    /// Anything else that a server says.
    Unknown(String),
}

const NAMED: &[(ServerError, &str)] = &[
    (ServerError::InvalidEncoding, "invalid-encoding"),
    (ServerError::ExtensionsNotSupported, "extensions-not-supported"),
    (ServerError::InvalidProof, "invalid-proof"),
    (ServerError::ChannelBindingsDontMatch, "channel-bindings-dont-match"),
    (ServerError::ServerDoesSupportChannelBinding, "server-does-support-channel-binding"),
    (ServerError::ChannelBindingNotSupported, "channel-binding-not-supported"),
    (ServerError::UnsupportedChannelBindingType, "unsupported-channel-binding-type"),
    (ServerError::UnknownUser, "unknown-user"),
    (ServerError::InvalidUsernameEncoding, "invalid-username-encoding"),
    (ServerError::NoResources, "no-resources"),
    (ServerError::OtherError, "other-error"),
];

impl ServerError {
    /// The error with this text.
    pub fn of(text: &str) -> Self {
        let named = NAMED.iter().find(|(_, name)| *name == text);
        named.map_or_else(|| ServerError::Unknown(text.to_owned()), |(error, _)| error.clone())
    }

    /// The text.
    pub fn text(&self) -> &str {
        match self {
            ServerError::Unknown(text) => text,
            named => NAMED.iter().find(|(error, _)| error == named).map_or("other-error", |(_, text)| text),
        }
    }
}

impl fmt::Display for ServerError {
    /// The text; what a log can't hold in one line is escaped, and no more than 200 letters are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().chars().take(200).flat_map(char::escape_debug).try_for_each(|letter| f.write_char(letter))
    }
}

impl ScramError {
    /// What a server that fails with this error tells the client, where RFC 5802 has a word for it.
    pub fn to_server_error(&self) -> ServerError {
        match self {
            ScramError::Malformed { .. } => ServerError::InvalidEncoding,
            ScramError::MandatoryExtension => ServerError::ExtensionsNotSupported,
            ScramError::WrongProof => ServerError::InvalidProof,
            ScramError::ChannelBinding => ServerError::ChannelBindingNotSupported,
            ScramError::Username => ServerError::InvalidUsernameEncoding,
            ScramError::Refused(error) => error.clone(),
            _ => ServerError::OtherError,
        }
    }
}
