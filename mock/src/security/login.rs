//! How a connection tells who it is.
//!
//! ```text
//! Unknown ──SaslHandshake──► Chosen ──token──► (Scram ──token──►) Known
//!                              └──── anything wrong ────► the connection closes
//! ```
//!
//! Sources: KIP-12, KIP-43 (mechanisms), KIP-152 (SaslAuthenticate), `SaslServerAuthenticator` of Kafka 4.3.

use bytes::Bytes;
use ottla_protocol::api::ApiKey;

use super::scram::{Exchange, Hash};
use super::users::{Mechanism, Users};

/// How far a connection has come with telling who it is.
#[derive(Debug)]
pub(crate) struct Login(State);

#[derive(Debug)]
enum State {
    /// Nobody asks.
    Open,
    /// Nothing was said yet.
    Unknown,
    /// A mechanism was chosen; tokens come with a request around them or raw.
    Chosen { mechanism: Mechanism, raw: bool },
    /// The server's first word of SCRAM is out.
    Scram { exchange: Box<Exchange>, raw: bool },
    /// It is this user.
    Known(String),
}

impl Login {
    pub(super) fn open() -> Login {
        Login(State::Open)
    }

    pub(super) fn closed() -> Login {
        Login(State::Unknown)
    }

    /// Whether a request of this API may come now.
    pub(crate) fn allows(&self, key: ApiKey) -> bool {
        match &self.0 {
            State::Open | State::Known(_) => true,
            State::Unknown => [ApiKey::API_VERSIONS, ApiKey::SASL_HANDSHAKE].contains(&key),
            State::Chosen { .. } | State::Scram { .. } => key == ApiKey::SASL_AUTHENTICATE,
        }
    }

    /// Who it is, as access control lists name them.
    pub(crate) fn principal(&self) -> String {
        match &self.0 {
            State::Known(user) => format!("User:{user}"),
            _ => "User:ANONYMOUS".to_owned(),
        }
    }

    /// Whether a mechanism may be chosen now.
    pub(crate) fn may_handshake(&self) -> bool {
        matches!(self.0, State::Unknown)
    }

    /// Whether a token may come now.
    pub(crate) fn may_authenticate(&self) -> bool {
        matches!(self.0, State::Chosen { .. } | State::Scram { .. })
    }

    /// Whether frames are tokens and not requests.
    pub(crate) fn takes_raw_tokens(&self) -> bool {
        matches!(self.0, State::Chosen { raw: true, .. } | State::Scram { raw: true, .. })
    }

    /// Chooses a mechanism; `false` where there is none such.
    pub(crate) fn choose(&mut self, users: &Users, name: &str, raw: bool) -> bool {
        let chosen = users.mechanisms().into_iter().find(|mechanism| mechanism.name() == name);
        if let Some(mechanism) = chosen {
            self.0 = State::Chosen { mechanism, raw };
        }
        chosen.is_some()
    }

    /// Takes a token and gives the next one.
    ///
    /// # Errors
    /// What is wrong with it, in Kafka's words.
    pub(crate) fn token(&mut self, users: &Users, token: &Bytes) -> Result<Bytes, String> {
        match std::mem::replace(&mut self.0, State::Unknown) {
            State::Chosen { mechanism: Mechanism::Plain, .. } => {
                let user =
                    plain(users, token).ok_or("Authentication failed: Invalid username or password")?;
                self.0 = State::Known(user);
                Ok(Bytes::new())
            }
            State::Chosen { mechanism: Mechanism::Scram(hash), raw } => {
                let (exchange, answer) = Exchange::begin(users, hash, token).ok_or_else(|| wrong(hash))?;
                self.0 = State::Scram { exchange: Box::new(exchange), raw };
                Ok(answer)
            }
            State::Scram { exchange, .. } => {
                let hash = exchange.hash();
                let (user, answer) = exchange.finish(token).ok_or_else(|| wrong(hash))?;
                self.0 = State::Known(user);
                Ok(answer)
            }
            state @ (State::Open | State::Unknown | State::Known(_)) => {
                self.0 = state;
                Err("Unexpected token.".to_owned())
            }
        }
    }
}

fn wrong(hash: Hash) -> String {
    let mechanism = Mechanism::Scram(hash).name();
    format!(
        "Authentication failed during authentication due to invalid credentials with SASL mechanism {mechanism}"
    )
}

/// The user of a PLAIN token: whom to act for, name and password, with zeros between.
fn plain(users: &Users, token: &Bytes) -> Option<String> {
    let text = std::str::from_utf8(token).ok()?;
    let mut parts = text.split('\0');
    let (acts_for, name, password) = (parts.next()?, parts.next()?, parts.next()?);
    let is_whole = parts.next().is_none() && !name.is_empty() && !password.is_empty();
    let is_self = acts_for.is_empty() || acts_for == name;
    (is_whole && is_self && users.is_password(name, password)).then(|| name.to_owned())
}
