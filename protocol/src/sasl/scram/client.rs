//! The client's side.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;

use bytes::Bytes;

use super::TOKEN_AUTH;
use super::error::ScramError;
use super::keys::{ScramMechanism, check_iterations, same, xor};
use super::message::{ClientFinal, ClientFirst, ServerFinal, ServerFirst, check_nonce};
use crate::wire::Secret;

/// The client in one exchange.
///
/// ```text
/// Created -client_first-> Waiting -handle_server_first-> Proved -handle_server_final-> Authenticated
///    any error or a message out of turn ------------------------------------------------> Failed
/// ```
///
/// The broker has shown that it knows the user only in `Authenticated`: nothing secret belongs on the connection before.
#[derive(Debug)]
pub struct ScramClient {
    mechanism: ScramMechanism,
    password: Secret,
    first: ClientFirst,
    state: State,
}

#[derive(Debug)]
enum State {
    Created,
    Waiting,
    Proved { server_signature: Secret },
    Authenticated,
    Failed,
}

impl ScramClient {
    /// The client of a user. `nonce` must be new and unpredictable: 16 random bytes or more, in any printable form.
    ///
    /// # Errors
    /// A name or nonce that the messages can't hold.
    pub fn new(
        mechanism: ScramMechanism,
        username: &str,
        password: Secret,
        nonce: &str,
    ) -> Result<Self, ScramError> {
        check_nonce(nonce)?;
        let (username, nonce) = (username.to_owned(), nonce.to_owned());
        let first = ClientFirst { authorization_id: None, username, nonce, extensions: Vec::new() };
        first.bare()?;
        Ok(ScramClient { mechanism, password, first, state: State::Created })
    }

    /// The client of a delegation token: its id and, as the password, its HMAC in Base64 (KIP-48).
    ///
    /// # Errors
    /// As [`ScramClient::new`].
    pub fn with_token(
        mechanism: ScramMechanism,
        token_id: &str,
        hmac: Secret,
        nonce: &str,
    ) -> Result<Self, ScramError> {
        let mut client = Self::new(mechanism, token_id, hmac, nonce)?;
        client.first.extensions.push((TOKEN_AUTH.to_owned(), "true".to_owned()));
        Ok(client)
    }

    /// The first message.
    ///
    /// # Errors
    /// [`ScramError::OutOfOrder`] when it was asked for before.
    pub fn client_first(&mut self) -> Result<Bytes, ScramError> {
        match core::mem::replace(&mut self.state, State::Failed) {
            State::Created => {
                let message = self.first.encode()?;
                self.state = State::Waiting;
                Ok(message)
            }
            _ => Err(ScramError::OutOfOrder),
        }
    }

    /// Takes the server's first message and gives the client's last one. This hashes the password, up to
    /// [`MAX_ITERATIONS`](super::MAX_ITERATIONS) times.
    ///
    /// # Errors
    /// A message that is malformed, continues another nonce or asks for too few or too many iterations.
    pub fn handle_server_first(&mut self, message: &[u8]) -> Result<Bytes, ScramError> {
        let State::Waiting = core::mem::replace(&mut self.state, State::Failed) else {
            return Err(ScramError::OutOfOrder);
        };
        let server_first = ServerFirst::decode(message)?;
        let added = server_first.nonce.strip_prefix(&self.first.nonce).unwrap_or_default();
        if added.is_empty() {
            return Err(ScramError::NonceNotContinued);
        }
        check_iterations(server_first.iterations)?;
        let mut client_final = ClientFinal {
            channel_binding: self.first.gs2_header()?.into(),
            nonce: server_first.nonce.clone(),
            extensions: Vec::new(),
            proof: Secret::default(),
        };
        // Kafka signs the message without its extensions, which it never sends; RFC 5802 would have them signed, too.
        let plain = ServerFirst { extensions: Vec::new(), ..server_first };
        let signed = signed_text(&self.first.bare()?, &plain.encode()?, &client_final.without_proof()?);
        let hash = self.mechanism;
        let salted_password = hash.salted_password(&self.password, &plain.salt, plain.iterations)?;
        let client_key = hash.client_key(&salted_password);
        let client_signature = hash.hmac(&hash.hash(&client_key), &signed);
        let proof = xor(&client_key, &client_signature).expect("both have the hash's length");
        client_final.proof = Secret(proof.into());
        let message = client_final.encode()?;
        let server_signature = hash.hmac(&hash.server_key(&salted_password), &signed);
        self.state = State::Proved { server_signature: Secret(server_signature.into()) };
        Ok(message)
    }

    /// Takes the server's last message: success means that both sides have proved themselves.
    ///
    /// # Errors
    /// A message that is malformed, refuses, or signs wrongly.
    pub fn handle_server_final(&mut self, message: &[u8]) -> Result<(), ScramError> {
        let State::Proved { server_signature } = core::mem::replace(&mut self.state, State::Failed) else {
            return Err(ScramError::OutOfOrder);
        };
        match ServerFinal::decode(message)? {
            ServerFinal::Signature(signature) if same(&signature.0, &server_signature.0) => {
                self.state = State::Authenticated;
                Ok(())
            }
            ServerFinal::Signature(_) => Err(ScramError::WrongSignature),
            ServerFinal::Error(error) => Err(ScramError::Refused(error)),
        }
    }

    /// Whether the exchange has succeeded.
    pub fn is_authenticated(&self) -> bool {
        matches!(self.state, State::Authenticated)
    }
}

/// What both sides sign: the first message, the server's, and the last without its proof.
pub(super) fn signed_text(client_first_bare: &str, server_first: &[u8], without_proof: &str) -> Vec<u8> {
    [client_first_bare.as_bytes(), server_first, without_proof.as_bytes()].join(&b',')
}
