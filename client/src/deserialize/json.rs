//! JSON, into whatever serde can deserialize.

use serde::de::DeserializeOwned;

use super::{DeserializeError, Deserializer, Json};

impl<T: DeserializeOwned> Deserializer<T> for Json {
    fn deserialize(&self, _topic: &str, data: &[u8]) -> Result<T, DeserializeError> {
        serde_json::from_slice(data).map_err(DeserializeError::caused_by)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn json_is_read_whole_or_is_an_error() {
        let stock: BTreeMap<String, i32> =
            Json.deserialize("stock", br#"{"apples": 3, "pears": 5}"#).expect("a map");
        assert_eq!(stock, BTreeMap::from([("apples".to_owned(), 3), ("pears".to_owned(), 5)]));
        let rest: Result<i32, _> = Json.deserialize("stock", b"1 2");
        assert_eq!(rest.expect_err("two values").to_string(), "trailing characters at line 1 column 3");
    }
}
