//! [`Sample`]: a record's whole content, to be compared with what came back, and its form in one line of text, in which
//! the Java programs write it.

use ottla::Record;
use ottla::consumer::Record as ReadRecord;
use ottla::producer::Header;

use super::run::Dice;

/// What a record says, wherever it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sample {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value.
    pub value: Option<Vec<u8>>,
    /// Names and values of the headers.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Sample {
    /// What was read.
    pub fn of(record: &ReadRecord) -> Sample {
        Sample {
            timestamp: record.timestamp(),
            key: record.key().map(<[u8]>::to_vec),
            value: record.value().map(<[u8]>::to_vec),
            headers: record
                .headers()
                .iter()
                .map(|header| (header.key_str().into_owned(), header.value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }

    /// The headers as [`Sample::record`] wants them.
    pub fn borrowed_headers(&self) -> Vec<Header<'_>> {
        self.headers
            .iter()
            .map(|(name, value)| match value {
                Some(value) => Header::new(name, value),
                None => Header::null(name),
            })
            .collect()
    }

    /// The record to send.
    pub fn record<'a>(&'a self, topic: &'a str, headers: &'a [Header<'a>]) -> Record<'a> {
        Record::new(topic)
            .maybe_key(self.key.as_deref())
            .maybe_value(self.value.as_deref())
            .headers(headers)
            .timestamp(self.timestamp)
    }

    /// One line: `timestamp key value name=value,…`. Bytes are `x` and hexadecimal digits, null is `-`.
    pub fn line(&self) -> String {
        let headers: Vec<String> = self
            .headers
            .iter()
            .map(|(name, value)| format!("{}={}", hex(name.as_bytes()), nullable(value)))
            .collect();
        let line = format!(
            "{} {} {} {}",
            self.timestamp,
            nullable(&self.key),
            nullable(&self.value),
            headers.join(",")
        );
        line.trim_end().to_owned()
    }
}

/// Records with every mixture of null, empty, short and long keys and values and of kinds of headers; 150 in all.
pub fn catalogue(first_timestamp: i64) -> Vec<Sample> {
    let mut dice = Dice::seeded(4_711);
    let keys =
        [None, Some(vec![]), Some(b"key".to_vec()), Some("schl\u{fc}ssel".into()), Some(vec![0xff; 300])];
    let values = [
        None,
        Some(vec![]),
        Some(b"value".to_vec()),
        Some(b"compressible ".repeat(200)),
        Some(dice.bytes(2_500)),
    ];
    let pair = |name: &str, value: Option<&[u8]>| (name.to_owned(), value.map(<[u8]>::to_vec));
    let headers = [
        vec![],
        vec![pair("null", None), pair("empty", Some(b""))],
        vec![pair("twice", Some(b"1")), pair("twice", None), pair("twice", Some(b"2"))],
        vec![pair("", Some(b"no name")), pair("", None)],
        vec![pair("\u{6f22}\u{5b57}", Some(&[0, 0xff, 0x80]))],
        (0..70).map(|at| pair(&format!("many-{at}"), Some(&[at; 3]))).collect(),
    ];
    let mut all = Vec::new();
    for key in &keys {
        for value in &values {
            for headers in &headers {
                // Up and down, so that deltas within a batch have both signs.
                let at = all.len() as i64;
                let timestamp = first_timestamp + if at % 2 == 0 { at * 1_000 } else { -at };
                let sample =
                    Sample { timestamp, key: key.clone(), value: value.clone(), headers: headers.clone() };
                all.push(sample);
            }
        }
    }
    all
}

fn nullable(bytes: &Option<Vec<u8>>) -> String {
    bytes.as_ref().map_or_else(|| "-".to_owned(), |bytes| hex(bytes))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(1 + 2 * bytes.len());
    text.push('x');
    for byte in bytes {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_null_from_empty() {
        let headers = vec![("a".to_owned(), None), ("".to_owned(), Some(vec![]))];
        let sample = Sample { timestamp: 5, key: None, value: Some(vec![]), headers };
        assert_eq!(sample.line(), "5 - x x61=-,x=x");
        let sample = Sample { timestamp: -1, key: Some(vec![1, 0xab]), value: None, headers: vec![] };
        assert_eq!(sample.line(), "-1 x01ab -");
    }

    #[test]
    fn the_catalogue_holds_no_sample_twice() {
        let mut all = catalogue(1_000_000);
        assert_eq!(all.len(), 150);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 150);
    }
}
