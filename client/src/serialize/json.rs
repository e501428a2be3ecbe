//! [`Json`]: whatever serde can serialize.

use serde::Serialize;

use super::{SerializeError, Serializer};

/// Values as JSON, by serde; without spaces or line ends.
///
/// ```
/// use std::collections::BTreeMap;
/// use ottla_client::serialize::{Json, Serializer};
///
/// let mut out = Vec::new();
/// Json.serialize("stock", &BTreeMap::from([("apples", 3), ("pears", 5)]), &mut out)?;
/// assert_eq!(out, br#"{"apples":3,"pears":5}"#);
/// # Ok::<(), ottla_client::serialize::SerializeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json;

impl<T: Serialize + ?Sized> Serializer<T> for Json {
    fn serialize(&self, _topic: &str, data: &T, out: &mut Vec<u8>) -> Result<(), SerializeError> {
        serde_json::to_writer(out, data).map_err(SerializeError::caused_by)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn json_goes_behind_what_is_there_and_what_it_cannot_express_is_an_error() {
        let mut out = b"[".to_vec();
        Json.serialize("t", &(1, "two", None::<i32>), &mut out).expect("a tuple");
        assert_eq!(out, br#"[[1,"two",null]"#);
        let error = Json.serialize("t", &HashMap::from([((1, 2), 3)]), &mut out).expect_err("no such keys");
        assert_eq!(error.to_string(), "key must be a string");
    }
}
