//! Kafka's UUIDs: topic ids, member ids, directory ids (KIP-516).

use core::fmt;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A 128-bit id, shown as Kafka's tools show it: URL-safe base64 without padding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// The id that says "none".
    pub const ZERO: Uuid = Uuid([0; 16]);

    /// Whether this is [`Uuid::ZERO`].
    pub fn is_zero(self) -> bool {
        self == Uuid::ZERO
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        // 128 bits are 21 groups of six and a last one of two, padded with zeros below.
        let mut text = [0u8; 22];
        for (i, byte) in text.iter_mut().enumerate() {
            let group = match 122usize.checked_sub(6 * i) {
                Some(shift) => bits >> shift,
                None => bits << 4,
            };
            *byte = ALPHABET[(group & 0x3f) as usize];
        }
        f.write_str(core::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not a Kafka UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a Kafka UUID is 22 characters of URL-safe base64")]
pub struct InvalidUuid;

impl core::str::FromStr for Uuid {
    type Err = InvalidUuid;

    fn from_str(text: &str) -> Result<Self, InvalidUuid> {
        let mut bits = 0u128;
        if text.len() != 22 {
            return Err(InvalidUuid);
        }
        for (i, byte) in text.bytes().enumerate() {
            let group = ALPHABET.iter().position(|&known| known == byte).ok_or(InvalidUuid)? as u128;
            bits = match i {
                21 if group & 0xf != 0 => return Err(InvalidUuid),
                21 => bits << 2 | group >> 4,
                _ => bits << 6 | group,
            };
        }
        Ok(Uuid(bits.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_kafkas_and_reads_back() {
        let id = Uuid([0xf7, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0xff]);
        assert_eq!(id.to_string(), "9wABAgMEBQYHCAkKCwwN_w");
        assert_eq!("9wABAgMEBQYHCAkKCwwN_w".parse(), Ok(id));
        assert_eq!(Uuid::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!("9wABAgMEBQYHCAkKCwwN_x".parse::<Uuid>(), Err(InvalidUuid));
        assert_eq!("short".parse::<Uuid>(), Err(InvalidUuid));
    }
}
