//! The four messages: text of `name=value` parted by commas.
//!
//! Extensions that are not mandatory are kept and passed over.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::super::name;
use super::error::{ScramError, ServerError};
use crate::wire::Secret;

/// How many extensions a message may have, so that a hostile one costs no more than its bytes.
pub const MAX_EXTENSIONS: usize = 64;

/// Extensions in order: a name of ASCII letters, a value without comma and NUL.
pub type Extensions = Vec<(String, String)>;

/// The client's first message: who it is, and its half of the nonce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFirst {
    /// As whom to act; none is the user itself.
    pub authorization_id: Option<String>,
    /// The user.
    pub username: String,
    /// The client's nonce.
    pub nonce: String,
    /// Extensions, such as [`TOKEN_AUTH`](super::TOKEN_AUTH).
    pub extensions: Extensions,
}

/// The server's first message: the whole nonce, and how the password is salted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFirst {
    /// The client's nonce and the server's behind it.
    pub nonce: String,
    /// The salt.
    pub salt: Bytes,
    /// How often the password is hashed.
    pub iterations: u32,
    /// Extensions.
    pub extensions: Extensions,
}

/// The client's last message: its proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFinal {
    /// What precedes the user's name in the first message (and data of the channel, were it bound).
    pub channel_binding: Bytes,
    /// The whole nonce.
    pub nonce: String,
    /// Extensions.
    pub extensions: Extensions,
    /// The proof, as long as the mechanism's hash.
    pub proof: Secret,
}

/// The server's last message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerFinal {
    /// The server's own proof. What follows it is passed over.
    Signature(Secret),
    /// Why it refuses.
    Error(ServerError),
}

impl ClientFirst {
    const NAME: &'static str = "client's first message";

    /// The bytes.
    ///
    /// # Errors
    /// A name, nonce or extension that the format can't hold.
    pub fn encode(&self) -> Result<Bytes, ScramError> {
        Ok((self.gs2_header()? + &self.bare()?).into())
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// Whatever isn't built as it should be; channel binding.
    pub fn decode(message: &[u8]) -> Result<Self, ScramError> {
        let text = text(Self::NAME, message)?;
        let malformed = |field| ScramError::Malformed { message: Self::NAME, field };
        if text.starts_with("p=") || text.starts_with("y,") {
            return Err(ScramError::ChannelBinding);
        }
        let rest = text.strip_prefix("n,").ok_or(malformed("the header `n,,`"))?;
        let (id, bare) = rest.split_once(',').ok_or(malformed("the header `n,,`"))?;
        let authorization_id = match id {
            "" => None,
            id => {
                let id = id.strip_prefix("a=").ok_or(malformed("an authorization id `a`"))?;
                Some(name::unescape(id).ok_or(malformed("an authorization id `a`"))?)
            }
        };
        let mut attributes = Attributes::new(Self::NAME, bare);
        attributes.no_mandatory_extension()?;
        let username = attributes.take("n", "a user's name `n`")?;
        let username = name::unescape(username).ok_or(malformed("a user's name `n`"))?;
        let nonce = attributes.nonce()?;
        Ok(ClientFirst { authorization_id, username, nonce, extensions: attributes.extensions()? })
    }

    /// What precedes the user's name: `n,,`, or with the authorization id in it.
    pub(super) fn gs2_header(&self) -> Result<String, ScramError> {
        Ok(match &self.authorization_id {
            None => "n,,".to_owned(),
            Some(id) => format!("n,a={},", name::escape(id).ok_or(ScramError::Username)?),
        })
    }

    /// The message without what precedes the name: a part of what is signed.
    pub(super) fn bare(&self) -> Result<String, ScramError> {
        let username = name::escape(&self.username).ok_or(ScramError::Username)?;
        check_nonce(&self.nonce)?;
        with_extensions(format!("n={username},r={}", self.nonce), &self.extensions)
    }
}

impl ServerFirst {
    const NAME: &'static str = "server's first message";

    /// The bytes.
    ///
    /// # Errors
    /// A nonce or extension that the format can't hold, no iterations.
    pub fn encode(&self) -> Result<Bytes, ScramError> {
        check_nonce(&self.nonce)?;
        if self.iterations == 0 {
            return Err(ScramError::TooFewIterations(0));
        }
        let text = format!("r={},s={},i={}", self.nonce, STANDARD.encode(&self.salt), self.iterations);
        with_extensions(text, &self.extensions).map(Bytes::from)
    }

    /// Reads the bytes. The number of iterations isn't judged here, as long as it is one.
    ///
    /// # Errors
    /// Whatever isn't built as it should be; a mandatory extension.
    pub fn decode(message: &[u8]) -> Result<Self, ScramError> {
        let mut attributes = Attributes::new(Self::NAME, text(Self::NAME, message)?);
        attributes.no_mandatory_extension()?;
        let nonce = attributes.nonce()?;
        let salt = attributes.base64("s", "a salt `s`, Base64")?;
        let iterations = attributes.take("i", ITERATIONS)?;
        let positive = !iterations.starts_with('0') && iterations.bytes().all(|digit| digit.is_ascii_digit());
        let iterations =
            iterations.parse().ok().filter(|_| positive).ok_or(attributes.malformed(ITERATIONS))?;
        Ok(ServerFirst { nonce, salt: salt.into(), iterations, extensions: attributes.extensions()? })
    }
}

impl ClientFinal {
    const NAME: &'static str = "client's final message";

    /// The bytes.
    ///
    /// # Errors
    /// A nonce or extension that the format can't hold.
    pub fn encode(&self) -> Result<Bytes, ScramError> {
        Ok(format!("{},p={}", self.without_proof()?, STANDARD.encode(&self.proof.0)).into())
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// Whatever isn't built as it should be; a mandatory extension.
    pub fn decode(message: &[u8]) -> Result<Self, ScramError> {
        let text = text(Self::NAME, message)?;
        let mut attributes = Attributes::new(Self::NAME, text);
        let channel_binding = attributes.base64("c", "channel binding `c`, Base64")?.into();
        let nonce = attributes.nonce()?;
        // A proof is last, and Base64 has no comma: whatever stands in between are extensions.
        let (_, proof) = text.rsplit_once(",p=").ok_or(attributes.malformed(PROOF))?;
        let proof = STANDARD.decode(proof).map_err(|_| attributes.malformed(PROOF))?;
        attributes.without_last();
        let extensions = attributes.extensions()?;
        Ok(ClientFinal { channel_binding, nonce, extensions, proof: Secret(proof.into()) })
    }

    /// The message without its proof: a part of what is signed.
    pub(super) fn without_proof(&self) -> Result<String, ScramError> {
        check_nonce(&self.nonce)?;
        let text = format!("c={},r={}", STANDARD.encode(&self.channel_binding), self.nonce);
        with_extensions(text, &self.extensions)
    }
}

impl ServerFinal {
    const NAME: &'static str = "server's final message";

    /// The bytes.
    ///
    /// # Errors
    /// An error's text that the format can't hold.
    pub fn encode(&self) -> Result<Bytes, ScramError> {
        match self {
            ServerFinal::Signature(signature) => Ok(format!("v={}", STANDARD.encode(&signature.0)).into()),
            ServerFinal::Error(error) if is_value(error.text()) => Ok(format!("e={}", error.text()).into()),
            ServerFinal::Error(_) => Err(ScramError::Extension),
        }
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// Whatever isn't built as it should be.
    pub fn decode(message: &[u8]) -> Result<Self, ScramError> {
        let text = text(Self::NAME, message)?;
        let mut attributes = Attributes::new(Self::NAME, text);
        let decoded = if text.starts_with("e=") {
            ServerFinal::Error(ServerError::of(attributes.take("e", "an error `e`")?))
        } else {
            ServerFinal::Signature(Secret(
                attributes.base64("v", "a signature `v`, Base64, or an error `e`")?.into(),
            ))
        };
        attributes.extensions()?;
        Ok(decoded)
    }
}

const ITERATIONS: &str = "a positive number of iterations `i`";
const PROOF: &str = "a proof `p`, Base64, at its end";

/// The attributes of a message that are not read yet.
struct Attributes<'a> {
    message: &'static str,
    rest: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    fn new(message: &'static str, text: &'a str) -> Self {
        Attributes { message, rest: Some(text) }
    }

    fn malformed(&self, field: &'static str) -> ScramError {
        ScramError::Malformed { message: self.message, field }
    }

    /// The next attribute, undivided.
    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let (next, rest) = rest.split_once(',').map_or((rest, None), |(next, rest)| (next, Some(rest)));
        self.rest = rest;
        Some(next)
    }

    fn no_mandatory_extension(&self) -> Result<(), ScramError> {
        match self.rest {
            Some(rest) if rest.starts_with("m=") => Err(ScramError::MandatoryExtension),
            _ => Ok(()),
        }
    }

    /// The value of the attribute `name`, which has to be the next.
    fn take(&mut self, name: &str, field: &'static str) -> Result<&'a str, ScramError> {
        let value = self.next().and_then(|next| next.strip_prefix(name)?.strip_prefix('='));
        value.filter(|value| is_value(value)).ok_or(self.malformed(field))
    }

    fn nonce(&mut self) -> Result<String, ScramError> {
        let nonce = self.take("r", "a nonce `r` of printable ASCII")?;
        check_nonce(nonce).map_err(|_| self.malformed("a nonce `r` of printable ASCII"))?;
        Ok(nonce.to_owned())
    }

    fn base64(&mut self, name: &str, field: &'static str) -> Result<Vec<u8>, ScramError> {
        let value = self.next().and_then(|next| next.strip_prefix(name)?.strip_prefix('='));
        value.and_then(|value| STANDARD.decode(value).ok()).ok_or(self.malformed(field))
    }

    /// Leaves out the last attribute.
    fn without_last(&mut self) {
        self.rest = self.rest.and_then(|rest| Some(rest.rsplit_once(',')?.0));
    }

    /// Everything that is left.
    fn extensions(mut self) -> Result<Extensions, ScramError> {
        let mut extensions = Vec::new();
        while let Some(next) = self.next() {
            let extension = next.split_once('=').filter(|(name, value)| is_name(name) && is_value(value));
            let (name, value) = extension.ok_or(self.malformed("only extensions where it goes on"))?;
            if name == "m" {
                return Err(ScramError::MandatoryExtension);
            }
            if extensions.len() == MAX_EXTENSIONS {
                return Err(ScramError::Extension);
            }
            extensions.push((name.to_owned(), value.to_owned()));
        }
        Ok(extensions)
    }
}

fn text<'a>(message: &'static str, bytes: &'a [u8]) -> Result<&'a str, ScramError> {
    str::from_utf8(bytes).map_err(|_| ScramError::Malformed { message, field: "UTF-8 throughout" })
}

fn with_extensions(mut text: String, extensions: &Extensions) -> Result<String, ScramError> {
    if extensions.len() > MAX_EXTENSIONS {
        return Err(ScramError::Extension);
    }
    for (name, value) in extensions {
        if !is_name(name) || !is_value(value) {
            return Err(ScramError::Extension);
        }
        text.extend([",", name, "=", value]);
    }
    Ok(text)
}

pub(super) fn check_nonce(nonce: &str) -> Result<(), ScramError> {
    let printable = nonce.bytes().all(|byte| matches!(byte, 0x21..=0x7e) && byte != b',');
    if printable && !nonce.is_empty() { Ok(()) } else { Err(ScramError::Nonce) }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn is_value(value: &str) -> bool {
    !value.is_empty() && !value.contains(['\0', ','])
}
