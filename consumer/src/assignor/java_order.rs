//! Orders of the Java client that show in its assignments: hash tables and UTF-16 strings.
//!
//! A range assignment lists its topics in the order in which a `java.util.HashMap` walks them, and two keys of
//! the same bucket stay in the order in which they were put in. Nothing depends on it but equality with Java's lists.

use std::cmp::Ordering;

/// The positions of `keys` in the order in which a Java hash table that got them one by one walks them.
pub(super) fn hash_order<S: AsRef<str>>(keys: &[S]) -> Vec<usize> {
    let mut buckets: u32 = 16;
    while keys.len() > buckets as usize / 4 * 3 {
        buckets *= 2;
    }
    let bucket = |key: &str| {
        let hash = string_hash(key);
        (hash ^ (hash >> 16)) & (buckets - 1)
    };
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by_cached_key(|&at| bucket(keys[at].as_ref()));
    order
}

/// Compares like `java.lang.String`, by UTF-16 code units, which differs from UTF-8 order beyond U+D7FF.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

fn string_hash(key: &str) -> u32 {
    key.encode_utf16().fold(0, |hash: u32, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn string_hash_is_javas() {
        assert_eq!(
            string_hash("topicf8"),
            "topicf8".bytes().fold(0u32, |h, b| h.wrapping_mul(31).wrapping_add(b.into()))
        );
        assert_eq!(string_hash("polygenelubricants"), i32::MIN as u32);
        assert_eq!(string_hash("\u{1F600}"), 0xD83D * 31 + 0xDE00);
    }

    #[test]
    fn keys_of_one_bucket_stay_in_order_of_insertion() {
        assert_eq!(hash_order(&["BB", "Aa"]), [0, 1]);
        assert_eq!(hash_order(&["Aa", "BB"]), [0, 1]);
        assert_eq!(hash_order(&["b", "a"]), [1, 0]);
    }

    #[test]
    fn strings_compare_by_utf16_units() {
        assert_eq!(compare("\u{FF5E}", "\u{1F600}"), Ordering::Greater);
        assert_eq!(compare("a", "b"), Ordering::Less);
    }
}
