//! From a password to what each side proves with.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};

use super::error::ScramError;
use super::{MAX_ITERATIONS, MIN_ITERATIONS};
use crate::wire::Secret;

/// Which hash an exchange is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScramMechanism {
    /// SCRAM-SHA-256
    Sha256,
    /// SCRAM-SHA-512
    Sha512,
}

impl ScramMechanism {
    /// All of them, the stronger one first.
    pub const ALL: [ScramMechanism; 2] = [ScramMechanism::Sha512, ScramMechanism::Sha256];

    /// The name in SaslHandshake.
    pub const fn name(self) -> &'static str {
        match self {
            ScramMechanism::Sha256 => "SCRAM-SHA-256",
            ScramMechanism::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// The mechanism of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }

    /// The number in DescribeUserScramCredentials and AlterUserScramCredentials.
    pub const fn code(self) -> i8 {
        match self {
            ScramMechanism::Sha256 => 1,
            ScramMechanism::Sha512 => 2,
        }
    }

    /// The mechanism with that number.
    pub fn by_code(code: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.code() == code)
    }

    /// How many bytes its hash, keys, proofs and signatures have.
    pub const fn hash_len(self) -> usize {
        match self {
            ScramMechanism::Sha256 => 32,
            ScramMechanism::Sha512 => 64,
        }
    }

    /// The password after `iterations` rounds with `salt`: what AlterUserScramCredentials sends instead of the password.
    ///
    /// This is the slow part of an exchange; nothing here yields in between.
    ///
    /// # Errors
    /// Fewer iterations than [`MIN_ITERATIONS`], more than [`MAX_ITERATIONS`].
    pub fn salted_password(
        self,
        password: &Secret,
        salt: &[u8],
        iterations: u32,
    ) -> Result<Secret, ScramError> {
        check_iterations(iterations)?;
        let mut salted = vec![0; self.hash_len()];
        match self {
            ScramMechanism::Sha256 => {
                pbkdf2::pbkdf2_hmac::<Sha256>(&password.0, salt, iterations, &mut salted);
            }
            ScramMechanism::Sha512 => {
                pbkdf2::pbkdf2_hmac::<Sha512>(&password.0, salt, iterations, &mut salted);
            }
        }
        Ok(Secret(salted.into()))
    }

    pub(super) fn hmac(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        const ANY: &str = "HMAC takes keys of any length";
        match self {
            ScramMechanism::Sha256 => Hmac::<Sha256>::new_from_slice(key)
                .expect(ANY)
                .chain_update(text)
                .finalize()
                .into_bytes()
                .to_vec(),
            ScramMechanism::Sha512 => Hmac::<Sha512>::new_from_slice(key)
                .expect(ANY)
                .chain_update(text)
                .finalize()
                .into_bytes()
                .to_vec(),
        }
    }

    pub(super) fn hash(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            ScramMechanism::Sha256 => Sha256::digest(bytes).to_vec(),
            ScramMechanism::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    /// The key that a client proves to know.
    pub(super) fn client_key(self, salted_password: &Secret) -> Vec<u8> {
        self.hmac(&salted_password.0, b"Client Key")
    }

    /// The key that a server proves to know.
    pub(super) fn server_key(self, salted_password: &Secret) -> Vec<u8> {
        self.hmac(&salted_password.0, b"Server Key")
    }
}

impl fmt::Display for ScramMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a broker keeps of a user: enough to check a proof, not enough to make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScramCredential {
    /// The mechanism it is for.
    pub mechanism: ScramMechanism,
    /// The salt.
    pub salt: Bytes,
    /// How often the password was hashed.
    pub iterations: u32,
    /// The hash of the client's key.
    pub stored_key: Secret,
    /// The server's key.
    pub server_key: Secret,
}

impl ScramCredential {
    /// The credential of a password.
    ///
    /// # Errors
    /// As [`ScramMechanism::salted_password`].
    pub fn of_password(
        mechanism: ScramMechanism,
        password: &Secret,
        salt: Bytes,
        iterations: u32,
    ) -> Result<Self, ScramError> {
        let salted_password = mechanism.salted_password(password, &salt, iterations)?;
        Self::of_salted_password(mechanism, &salted_password, salt, iterations)
    }

    /// The credential of a salted password, which is what AlterUserScramCredentials brings.
    ///
    /// # Errors
    /// Iterations out of bounds, or bytes as no hash of `mechanism` has.
    pub fn of_salted_password(
        mechanism: ScramMechanism,
        salted_password: &Secret,
        salt: Bytes,
        iterations: u32,
    ) -> Result<Self, ScramError> {
        check_iterations(iterations)?;
        if salted_password.0.len() != mechanism.hash_len() {
            return Err(ScramError::OtherMechanism);
        }
        let stored_key = mechanism.hash(&mechanism.client_key(salted_password));
        let server_key = mechanism.server_key(salted_password);
        let (stored_key, server_key) = (Secret(stored_key.into()), Secret(server_key.into()));
        Ok(ScramCredential { mechanism, salt, iterations, stored_key, server_key })
    }
}

pub(super) fn check_iterations(iterations: u32) -> Result<(), ScramError> {
    match iterations {
        0..MIN_ITERATIONS => Err(ScramError::TooFewIterations(iterations)),
        MIN_ITERATIONS..=MAX_ITERATIONS => Ok(()),
        _ => Err(ScramError::TooManyIterations(iterations)),
    }
}

/// Each byte of `a` against the one of `b`; `None` if they differ in length.
pub(super) fn xor(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    (a.len() == b.len()).then(|| a.iter().zip(b).map(|(a, b)| a ^ b).collect())
}

/// Whether `a` is `b`, in a time that tells nothing but their lengths.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && core::hint::black_box(a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b))) == 0
}
