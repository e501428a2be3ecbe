//! What a topic may be called.
//!
//! Brokers refuse anything else with `INVALID_TOPIC_EXCEPTION`; a client that checks first says what is wrong. Names of
//! topics that exist come from brokers and need no check.
//!
//! ```
//! use ottla_protocol::topic_name::{self, TopicNameError};
//!
//! assert_eq!(topic_name::check("orders.v1"), Ok(()));
//! assert_eq!(topic_name::check("orders/v1"), Err(TopicNameError::Letter { letter: '/', at: 6 }));
//! assert!(topic_name::collide("orders.v1", "orders_v1"));
//! ```
//!
//! Sources: Kafka's documentation of topic names; `org.apache.kafka.common.internals.Topic` for the collisions.

/// The longest name, in letters, which are bytes: with a partition's number and an ending it has to be a file's name.
pub const MAX_LEN: usize = 249;

/// Why a name is none for a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicNameError {
    /// No letter at all.
    #[error("a topic's name is not empty")]
    Empty,
    /// `.` or `..`, which are folders everywhere.
    #[error("a topic's name is neither `.` nor `..`")]
    Dots,
    /// Longer than [`MAX_LEN`].
    #[error("a topic's name has at most {MAX_LEN} bytes, this one {0}")]
    TooLong(usize),
    /// A letter that isn't allowed.
    #[error(
        "a topic's name is of ASCII letters, digits, `.`, `_` and `-`: {letter:?} at byte {at} is none of them"
    )]
    Letter {
        /// The first such letter.
        letter: char,
        /// Where it begins, in bytes.
        at: usize,
    },
}

/// Checks a name.
///
/// # Errors
/// The first reason why a broker would refuse it.
pub fn check(name: &str) -> Result<(), TopicNameError> {
    match name {
        "" => return Err(TopicNameError::Empty),
        "." | ".." => return Err(TopicNameError::Dots),
        _ => {}
    }
    if name.len() > MAX_LEN {
        return Err(TopicNameError::TooLong(name.len()));
    }
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    match name.char_indices().find(|(_, letter)| !allowed(*letter)) {
        Some((at, letter)) => Err(TopicNameError::Letter { letter, at }),
        None => Ok(()),
    }
}

/// Whether the name may be taken for another in metrics, where `.` becomes `_`: Kafka's tools warn of such names.
pub fn may_collide(name: &str) -> bool {
    name.contains(['.', '_'])
}

/// Whether two names differ at most in `.` and `_`: brokers refuse to create a topic whose name collides with another's.
pub fn collide(a: &str, b: &str) -> bool {
    let same = |(a, b): (u8, u8)| a == b || matches!((a, b), (b'.', b'_') | (b'_', b'.'));
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_letters_digits_and_three_marks_are_allowed() {
        for name in ["a", "...", "A-Z_0.9", "-", "_", "__consumer_offsets", "x".repeat(MAX_LEN).as_str()] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn what_is_not_allowed_is_named() {
        assert_eq!(check(""), Err(TopicNameError::Empty));
        assert_eq!((check("."), check("..")), (Err(TopicNameError::Dots), Err(TopicNameError::Dots)));
        assert_eq!(check(&"x".repeat(MAX_LEN + 1)), Err(TopicNameError::TooLong(250)));
        assert_eq!(check("with space"), Err(TopicNameError::Letter { letter: ' ', at: 4 }));
        assert_eq!(check("tab\t"), Err(TopicNameError::Letter { letter: '\t', at: 3 }));
        assert_eq!(check("aäb"), Err(TopicNameError::Letter { letter: 'ä', at: 1 }));
        assert_eq!(check("a\0"), Err(TopicNameError::Letter { letter: '\0', at: 1 }));
    }

    #[test]
    fn names_collide_that_metrics_cannot_tell_apart() {
        assert!(collide("a.b_c", "a_b.c") && collide("a", "a"));
        assert!(!collide("a.b", "a-b") && !collide("a.b", "a.bc"));
        assert_eq!((may_collide("a.b"), may_collide("a_b"), may_collide("a-b")), (true, true, false));
    }
}
