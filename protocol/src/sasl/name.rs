//! `saslname` of RFC 5802: a name in which a comma is `=2C` and an equals sign `=3D`.

use alloc::borrow::ToOwned;
use alloc::string::String;

/// The name as it stands in a message; `None` for one that no message can hold: an empty one, or one with a NUL.
pub(super) fn escape(name: &str) -> Option<String> {
    if name.is_empty() || name.contains('\0') {
        return None;
    }
    Some(name.replace('=', "=3D").replace(',', "=2C"))
}

/// The name behind the text of a message; `None` where the text is no `saslname`.
pub(super) fn unescape(text: &str) -> Option<String> {
    if text.is_empty() || text.contains(['\0', ',']) {
        return None;
    }
    let mut pieces = text.split('=');
    let mut name = pieces.next()?.to_owned();
    for piece in pieces {
        let (letter, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            (None, None) => return None,
        };
        name.push(letter);
        name.push_str(rest);
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_and_equals_signs_are_escaped_and_come_back() {
        for (name, text) in
            [("alice", "alice"), ("a,b=c", "a=2Cb=3Dc"), ("=2C", "=3D2C"), ("名前", "名前"), (",", "=2C")]
        {
            assert_eq!(escape(name).as_deref(), Some(text));
            assert_eq!(unescape(text).as_deref(), Some(name));
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", "a\0", "a,b", "a=", "a=2", "a=2c", "a=41"] {
            assert_eq!(unescape(text), None, "{text:?}");
        }
        assert_eq!((escape(""), escape("a\0b")), (None, None));
    }
}
