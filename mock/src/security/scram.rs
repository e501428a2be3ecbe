//! The server's side of SCRAM.
//!
//! Salts and nonces follow from names and from the client's nonce: nothing here has to keep a secret from anybody.
//!
//! Sources: RFC 5802, RFC 7677, KIP-84.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use sha2::{Digest, Sha256, Sha512};

use super::users::Users;

const ITERATIONS: u32 = 4096;

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    /// The mechanism's number in requests.
    pub(crate) fn number(self) -> i8 {
        match self {
            Hash::Sha256 => 1,
            Hash::Sha512 => 2,
        }
    }

    /// The hash function of the mechanism with this number.
    pub(crate) fn of_number(number: i8) -> Option<Hash> {
        [Hash::Sha256, Hash::Sha512].into_iter().find(|hash| hash.number() == number)
    }

    fn digest(self, parts: &[&[u8]]) -> Vec<u8> {
        fn all<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
            let mut digest = D::new();
            parts.iter().for_each(|part| digest.update(part));
            digest.finalize().to_vec()
        }
        match self {
            Hash::Sha256 => all::<Sha256>(parts),
            Hash::Sha512 => all::<Sha512>(parts),
        }
    }

    fn hmac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        let block = match self {
            Hash::Sha256 => 64,
            Hash::Sha512 => 128,
        };
        let mut padded = if key.len() > block { self.digest(&[key]) } else { key.to_vec() };
        padded.resize(block, 0);
        let with = |pad: u8| padded.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
        let inner = self.digest(&[&with(0x36), message]);
        self.digest(&[&with(0x5c), &inner])
    }

    /// The password, salted and stretched.
    fn stretch(self, password: &[u8], salt: &[u8]) -> Vec<u8> {
        let mut last = self.hmac(password, &[salt, &[0, 0, 0, 1]].concat());
        let mut result = last.clone();
        for _ in 1..ITERATIONS {
            last = self.hmac(password, &last);
            xor(&mut result, &last);
        }
        result
    }
}

/// What a server keeps of a password.
#[derive(Clone)]
pub(crate) struct Credentials {
    salt: Vec<u8>,
    iterations: u32,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl Credentials {
    pub(super) fn new(hash: Hash, name: &str, password: &str) -> Credentials {
        let salt = hash.digest(&[b"salt of ", name.as_bytes()])[..16].to_vec();
        let salted = hash.stretch(password.as_bytes(), &salt);
        Credentials::of_salted(hash, ITERATIONS, salt, &salted)
    }

    /// Of a password that was salted and stretched by whoever knows it.
    pub(super) fn of_salted(hash: Hash, iterations: u32, salt: Vec<u8>, salted: &[u8]) -> Credentials {
        let stored_key = hash.digest(&[&hash.hmac(salted, b"Client Key")]);
        Credentials { salt, iterations, stored_key, server_key: hash.hmac(salted, b"Server Key") }
    }

    /// How often the password was hashed.
    pub(super) fn iterations(&self) -> u32 {
        self.iterations
    }
}

/// An exchange after the server's first word.
pub(crate) struct Exchange {
    hash: Hash,
    user: String,
    credentials: Credentials,
    nonce: String,
    /// Both first words, as the proof covers them.
    said: String,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Exchange({})", self.user)
    }
}

impl Exchange {
    /// Takes the client's first word; `None` for one that is malformed or of nobody.
    pub(super) fn begin(users: &Users, hash: Hash, token: &Bytes) -> Option<(Exchange, Bytes)> {
        let text = std::str::from_utf8(token).ok()?;
        // No channel binding; whom to act for, if anybody, stands before the second comma.
        let (_, bare) = text.strip_prefix("n,")?.split_once(',')?;
        let mut fields = bare.split(',');
        let name = fields.next()?.strip_prefix("n=")?.replace("=2C", ",").replace("=3D", "=");
        let theirs = fields.next()?.strip_prefix("r=").filter(|nonce| !nonce.is_empty())?;
        let credentials = users.credentials(hash, &name)?.clone();
        let ours = BASE64.encode(&hash.digest(&[b"nonce for ", theirs.as_bytes()])[..18]);
        let nonce = format!("{theirs}{ours}");
        let (salt, iterations) = (BASE64.encode(&credentials.salt), credentials.iterations);
        let answer = format!("r={nonce},s={salt},i={iterations}");
        let said = format!("{bare},{answer}");
        Some((Exchange { hash, user: name, credentials, nonce, said }, answer.into()))
    }

    pub(super) fn hash(&self) -> Hash {
        self.hash
    }

    /// Takes the client's proof, and gives the user's name and the server's own proof; `None` if it proves nothing.
    pub(super) fn finish(self, token: &Bytes) -> Option<(String, Bytes)> {
        let text = std::str::from_utf8(token).ok()?;
        let (unproved, proof) = text.rsplit_once(",p=")?;
        let (binding, nonce) = unproved.split_once(",r=")?;
        if !binding.starts_with("c=") || nonce != self.nonce {
            return None;
        }
        let message = format!("{},{unproved}", self.said);
        let mut key = BASE64.decode(proof).ok()?;
        let signature = self.hash.hmac(&self.credentials.stored_key, message.as_bytes());
        if key.len() != signature.len() {
            return None;
        }
        xor(&mut key, &signature);
        if self.hash.digest(&[&key]) != self.credentials.stored_key {
            return None;
        }
        let signature = self.hash.hmac(&self.credentials.server_key, message.as_bytes());
        Some((self.user, format!("v={}", BASE64.encode(signature)).into()))
    }
}

fn xor(into: &mut [u8], with: &[u8]) {
    into.iter_mut().zip(with).for_each(|(byte, other)| *byte ^= other);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_standards() {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        // RFC 4231, test case 2.
        let mac = Hash::Sha256.hmac(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex(mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        // RFC 7677's salted password, by way of its proof.
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let salted = Hash::Sha256.stretch(b"pencil", &salt);
        let client_key = Hash::Sha256.hmac(&salted, b"Client Key");
        let stored_key = Hash::Sha256.digest(&[&client_key]);
        let message = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                       s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let mut proof = Hash::Sha256.hmac(&stored_key, message.as_bytes());
        xor(&mut proof, &client_key);
        assert_eq!(BASE64.encode(proof), "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    }

    /// What a client that knows `password` says after the server's first word.
    fn proof(hash: Hash, password: &str, first: &str, answer: &str) -> Bytes {
        let field = |name: &str| answer.split(',').find_map(|field| field.strip_prefix(name)).unwrap();
        let salted = hash.stretch(password.as_bytes(), &BASE64.decode(field("s=")).unwrap());
        let unproved = format!("c=biws,r={}", field("r="));
        let message = format!("{first},{answer},{unproved}");
        let mut proof = hash.hmac(&salted, b"Client Key");
        let signature = hash.hmac(&hash.digest(&[&proof]), message.as_bytes());
        xor(&mut proof, &signature);
        format!("{unproved},p={}", BASE64.encode(proof)).into()
    }

    #[test]
    fn only_who_knows_the_password_gets_in() {
        let mut users = Users::default();
        users.add_scram("al,ice", "wonderland");
        for hash in [Hash::Sha256, Hash::Sha512] {
            for (password, is_in) in [("wonderland", true), ("looking-glass", false)] {
                let first = "n=al=2Cice,r=abc";
                let begun = Exchange::begin(&users, hash, &format!("n,,{first}").into());
                let (exchange, answer) = begun.unwrap();
                let answer = std::str::from_utf8(&answer).unwrap();
                let finished = exchange.finish(&proof(hash, password, first, answer));
                assert_eq!(finished.map(|(user, _)| user), is_in.then(|| "al,ice".to_owned()));
            }
            assert!(Exchange::begin(&users, hash, &Bytes::from_static(b"n,,n=bob,r=abc")).is_none());
            assert!(Exchange::begin(&users, hash, &Bytes::from_static(b"y,,n=al=2Cice,r=abc")).is_none());
        }
    }
}
