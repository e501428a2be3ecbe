//! As much JSON as an OAUTHBEARER refusal needs: an object's members that are strings.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Arrays and objects deeper than this are refused: reading them takes stack.
const MAX_DEPTH: usize = 16;

/// The members of the object `text` whose values are strings, in order; `None` if it isn't one JSON object.
pub(super) fn string_members(text: &str) -> Option<Vec<(String, String)>> {
    let mut input = Input { rest: text };
    input.blank();
    let members = input.object(MAX_DEPTH)?;
    input.blank();
    input.rest.is_empty().then_some(members)
}

/// `text` as a JSON string, in quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => json.extend(['\\', letter]),
            '\u{0}'..='\u{1f}' => json.push_str(&format!("\\u{:04x}", letter as u32)),
            _ => json.push(letter),
        }
    }
    json.push('"');
    json
}

struct Input<'a> {
    rest: &'a str,
}

impl Input<'_> {
    fn blank(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    fn take(&mut self, token: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(token)?;
        Some(())
    }

    /// Takes `token` and the blanks around it.
    fn symbol(&mut self, token: &str) -> Option<()> {
        self.blank();
        self.take(token)?;
        self.blank();
        Some(())
    }

    fn object(&mut self, depth: usize) -> Option<Vec<(String, String)>> {
        let depth = depth.checked_sub(1)?;
        let mut members = Vec::new();
        self.symbol("{")?;
        if self.take("}").is_some() {
            return Some(members);
        }
        loop {
            let name = self.string()?;
            self.symbol(":")?;
            if let Some(text) = self.value(depth)? {
                members.push((name, text));
            }
            if self.symbol(",").is_none() {
                self.symbol("}")?;
                return Some(members);
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.symbol("[")?;
        if self.take("]").is_some() {
            return Some(());
        }
        loop {
            self.value(depth)?;
            if self.symbol(",").is_none() {
                return self.symbol("]");
            }
        }
    }

    /// Any value; the inner `None` is one that is no string.
    fn value(&mut self, depth: usize) -> Option<Option<String>> {
        match self.rest.as_bytes().first()? {
            b'"' => self.string().map(Some),
            b'{' => self.object(depth).map(|_| None),
            b'[' => self.array(depth).map(|()| None),
            _ => self.scalar().map(|()| None),
        }
    }

    /// A number or a word, which nobody wants to know here.
    fn scalar(&mut self) -> Option<()> {
        let inside = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.');
        let end = self.rest.find(|letter| !inside(letter)).unwrap_or(self.rest.len());
        let (scalar, rest) = self.rest.split_at(end);
        self.rest = rest;
        (matches!(scalar, "true" | "false" | "null") || scalar.parse::<f64>().is_ok_and(f64::is_finite))
            .then_some(())
    }

    fn string(&mut self) -> Option<String> {
        self.take("\"")?;
        let mut text = String::new();
        loop {
            let end = self.rest.find(|letter| matches!(letter, '"' | '\\' | '\0'..='\x1f'))?;
            text.push_str(&self.rest[..end]);
            self.rest = &self.rest[end..];
            if self.take("\"").is_some() {
                return Some(text);
            }
            self.take("\\")?;
            text.push(self.escaped()?);
        }
    }

    fn escaped(&mut self) -> Option<char> {
        let letter = self.rest.chars().next()?;
        self.rest = &self.rest[letter.len_utf8()..];
        Some(match letter {
            '"' | '\\' | '/' => letter,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let high = self.unit()?;
                let low = if (0xd800..0xdc00).contains(&high) {
                    self.take("\\u")?;
                    Some(self.unit()?)
                } else {
                    None
                };
                char::decode_utf16(core::iter::once(high).chain(low)).next()?.ok()?
            }
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u16> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(list: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        Some(list.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    #[test]
    fn strings_are_read_and_everything_else_is_passed_over() {
        let text = " { \"a\" : \"x\" , \"n\":-1.5e3,\"o\":{\"a\":[1,[],{}]},\"t\":true, \"b\":\"\\u00e9\\n\\\"\\ud83d\\ude00\" } ";
        assert_eq!(string_members(text), members(&[("a", "x"), ("b", "é\n\"😀")]));
        assert_eq!(string_members("{}"), members(&[]));
    }

    #[test]
    fn what_is_quoted_comes_back() {
        let text = "a\"b\\c\n\u{1}é";
        assert_eq!(quoted(text), "\"a\\\"b\\\\c\\u000a\\u0001é\"");
        assert_eq!(string_members(&format!("{{\"k\":{}}}", quoted(text))), members(&[("k", text)]));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in [
            "",
            "{",
            "[]",
            "\"a\"",
            "{}x",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":\"b\",}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\ud83d\"}",
            "{\"a\":\"\\ud83dab\"}",
            "{\"a\":\"\n\"}",
            "{\"a\":nul}",
            "{\"a\":\"\\u+0ab\"}",
            "{\"a\":[1}",
            "{'a':1}",
        ] {
            assert_eq!(string_members(text), None, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(string_members(&nested(MAX_DEPTH - 1)), members(&[]));
        assert_eq!(string_members(&nested(MAX_DEPTH)), None);
        assert_eq!(string_members(&"{\"a\":[".repeat(100_000)), None);
    }
}
