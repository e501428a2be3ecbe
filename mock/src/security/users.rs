//! The users and what proves that somebody is one of them.

use std::collections::BTreeMap;
use std::fmt;

use super::scram::{Credentials, Hash};

/// A mechanism of SASL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Plain,
    Scram(Hash),
}

impl Mechanism {
    const ALL: [Mechanism; 3] =
        [Mechanism::Plain, Mechanism::Scram(Hash::Sha256), Mechanism::Scram(Hash::Sha512)];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Scram(Hash::Sha256) => "SCRAM-SHA-256",
            Mechanism::Scram(Hash::Sha512) => "SCRAM-SHA-512",
        }
    }
}

/// All users.
#[derive(Clone, Default)]
pub(crate) struct Users {
    plain: BTreeMap<String, String>,
    scram: BTreeMap<(String, &'static str), Credentials>,
    /// Whether connections have to log in; passwords that are set while the cluster runs don't change that.
    required: bool,
}

impl Users {
    pub(super) fn add_plain(&mut self, name: String, password: String) {
        self.plain.insert(name, password);
        self.required = true;
    }

    pub(super) fn add_scram(&mut self, name: &str, password: &str) {
        for hash in [Hash::Sha256, Hash::Sha512] {
            let credentials = Credentials::new(hash, name, password);
            self.scram.insert((name.to_owned(), Mechanism::Scram(hash).name()), credentials);
        }
        self.required = true;
    }

    /// Sets a password that was salted and stretched already.
    pub(crate) fn set_scram(&mut self, name: &str, hash: Hash, iterations: u32, salt: &[u8], salted: &[u8]) {
        let credentials = Credentials::of_salted(hash, iterations, salt.to_vec(), salted);
        self.scram.insert((name.to_owned(), Mechanism::Scram(hash).name()), credentials);
    }

    pub(crate) fn remove_scram(&mut self, name: &str, hash: Hash) {
        self.scram.remove(&(name.to_owned(), Mechanism::Scram(hash).name()));
    }

    pub(crate) fn has_scram(&self, name: &str, hash: Hash) -> bool {
        self.credentials(hash, name).is_some()
    }

    /// Everybody who has a password for SCRAM.
    pub(crate) fn scram_names(&self) -> Vec<String> {
        let names: std::collections::BTreeSet<&String> = self.scram.keys().map(|(name, _)| name).collect();
        names.into_iter().cloned().collect()
    }

    /// The hash functions that a user has passwords for, and how often these are hashed.
    pub(crate) fn scram_infos(&self, name: &str) -> Vec<(Hash, u32)> {
        let info = |hash| Some((hash, self.credentials(hash, name)?.iterations()));
        [Hash::Sha256, Hash::Sha512].into_iter().filter_map(info).collect()
    }

    /// Whether connections have to log in.
    pub(crate) fn are_required(&self) -> bool {
        self.required
    }

    /// The mechanisms that somebody could log in with.
    pub(crate) fn mechanisms(&self) -> Vec<Mechanism> {
        let is_used = |mechanism: &Mechanism| match mechanism {
            Mechanism::Plain => !self.plain.is_empty(),
            Mechanism::Scram(_) => !self.scram.is_empty(),
        };
        Mechanism::ALL.into_iter().filter(is_used).collect()
    }

    pub(super) fn is_password(&self, name: &str, password: &str) -> bool {
        self.plain.get(name).is_some_and(|known| known == password)
    }

    pub(super) fn credentials(&self, hash: Hash, name: &str) -> Option<&Credentials> {
        self.scram.get(&(name.to_owned(), Mechanism::Scram(hash).name()))
    }
}

// Names only: passwords are nobody's business, even those of tests.
impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scram = self.scram.keys().map(|(name, _)| name);
        f.debug_set().entries(self.plain.keys().chain(scram)).finish()
    }
}
