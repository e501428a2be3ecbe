//! The server's side, for mock brokers and tests of clients.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::client::signed_text;
use super::error::ScramError;
use super::keys::{ScramCredential, ScramMechanism, same, xor};
use super::message::{ClientFinal, ClientFirst, ServerFinal, ServerFirst, check_nonce};
use crate::wire::Secret;

/// The server in one exchange.
///
/// ```text
/// Waiting -handle_client_first-> Asked -server_first-> Challenged -handle_client_final-> Authenticated
///    any error or a message out of turn -------------------------------------------------> Failed
/// ```
#[derive(Debug)]
pub struct ScramServer {
    mechanism: ScramMechanism,
    nonce: String,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting,
    Asked(ClientFirst),
    Challenged(Box<Challenged>),
    Authenticated,
    Failed,
}

#[derive(Debug)]
struct Challenged {
    client_first: ClientFirst,
    server_first: Bytes,
    nonce: String,
    credential: ScramCredential,
}

impl ScramServer {
    /// A server that waits for a client. `nonce` is its half, which must be new and unpredictable.
    ///
    /// # Errors
    /// A nonce that the messages can't hold.
    pub fn new(mechanism: ScramMechanism, nonce: &str) -> Result<Self, ScramError> {
        check_nonce(nonce)?;
        Ok(ScramServer { mechanism, nonce: nonce.to_owned(), state: State::Waiting })
    }

    /// Takes the client's first message and gives it back read: the caller looks up the credential of its user, or of the
    /// delegation token, if [`TOKEN_AUTH`](super::TOKEN_AUTH) is among the extensions.
    ///
    /// # Errors
    /// A message that is malformed, asks for channel binding or to act as another user.
    pub fn handle_client_first(&mut self, message: &[u8]) -> Result<&ClientFirst, ScramError> {
        let State::Waiting = core::mem::replace(&mut self.state, State::Failed) else {
            return Err(ScramError::OutOfOrder);
        };
        let first = ClientFirst::decode(message)?;
        if first.authorization_id.as_ref().is_some_and(|id| *id != first.username) {
            return Err(ScramError::AuthorizationId);
        }
        self.state = State::Asked(first);
        match &self.state {
            State::Asked(first) => Ok(first),
            _ => Err(ScramError::OutOfOrder),
        }
    }

    /// The server's first message, for a user with this credential.
    ///
    /// # Errors
    /// A credential of another mechanism; out of turn.
    pub fn server_first(&mut self, credential: ScramCredential) -> Result<Bytes, ScramError> {
        let State::Asked(client_first) = core::mem::replace(&mut self.state, State::Failed) else {
            return Err(ScramError::OutOfOrder);
        };
        if credential.mechanism != self.mechanism {
            return Err(ScramError::OtherMechanism);
        }
        let nonce = format!("{}{}", client_first.nonce, self.nonce);
        let (salt, iterations) = (credential.salt.clone(), credential.iterations);
        let server_first =
            ServerFirst { nonce: nonce.clone(), salt, iterations, extensions: Vec::new() }.encode()?;
        let challenged = Challenged { client_first, server_first: server_first.clone(), nonce, credential };
        self.state = State::Challenged(Box::new(challenged));
        Ok(server_first)
    }

    /// Takes the client's last message and gives the server's: success means that the client has the password.
    ///
    /// # Errors
    /// A message that is malformed, has other data than this exchange's, or a wrong proof. Kafka answers with an error in
    /// SaslAuthenticate; [`ScramError::to_server_error`] is the word for [`ServerFinal::Error`].
    pub fn handle_client_final(&mut self, message: &[u8]) -> Result<Bytes, ScramError> {
        let State::Challenged(challenged) = core::mem::replace(&mut self.state, State::Failed) else {
            return Err(ScramError::OutOfOrder);
        };
        let Challenged { client_first, server_first, nonce, credential } = *challenged;
        let client_final = ClientFinal::decode(message)?;
        if client_final.nonce != nonce {
            return Err(ScramError::NonceDiffers);
        }
        if client_final.channel_binding != client_first.gs2_header()?.as_bytes() {
            return Err(ScramError::ChannelBinding);
        }
        let signed = signed_text(&client_first.bare()?, &server_first, &client_final.without_proof()?);
        let hash = self.mechanism;
        let client_signature = hash.hmac(&credential.stored_key.0, &signed);
        let client_key = xor(&client_final.proof.0, &client_signature).ok_or(ScramError::WrongProof)?;
        if !same(&hash.hash(&client_key), &credential.stored_key.0) {
            return Err(ScramError::WrongProof);
        }
        let signature = hash.hmac(&credential.server_key.0, &signed);
        let message = ServerFinal::Signature(Secret(signature.into())).encode()?;
        self.state = State::Authenticated;
        Ok(message)
    }

    /// Whether the exchange has succeeded.
    pub fn is_authenticated(&self) -> bool {
        matches!(self.state, State::Authenticated)
    }
}
