//! Produce, without the records: the answer is written while the request is read, as it has the same shape.

use std::io;

use super::feed::Feed;
use super::{State, malformed};
use ottla_protocol::uuid::Uuid;

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const UNKNOWN_TOPIC_ID: i16 = 100;
/// Up to where a batch's header counts its records.
const BATCH_HEADER: usize = 61;

/// Reads a request behind its correlation id, and writes the answer with its length unless nobody waits for one.
pub(super) fn answer(
    feed: &mut Feed,
    version: i16,
    correlation: i32,
    state: &State,
    answer: &mut Vec<u8>,
) -> io::Result<()> {
    if !(3..=13).contains(&version) {
        return Err(malformed(&format!("Produce version {version}")));
    }
    let shape = Shape { version, flexible: version >= 9 };
    let client_id = feed.short()?;
    feed.skip(usize::try_from(client_id).unwrap_or(0))?;
    shape.skip_tags(feed)?;
    let transactional_id = shape.length_of_text(feed)?;
    feed.skip(transactional_id)?;
    let acks = feed.short()?;
    feed.int()?;

    answer.extend([0; 4]);
    answer.extend(correlation.to_be_bytes());
    shape.put_tags(answer);
    for _ in 0..shape.count(feed, answer)? {
        let topic = if version >= 13 {
            let id: [u8; 16] = feed.array()?;
            answer.extend(id);
            state.topic_by_id(Uuid(id))
        } else {
            let length = shape.length(feed, answer)?;
            let name = feed.take(length)?;
            answer.extend_from_slice(name);
            Some(
                state
                    .topic(std::str::from_utf8(name).map_err(|_| malformed("a name that is no text"))?, None),
            )
        };
        for _ in 0..shape.count(feed, answer)? {
            let partition = feed.int()?;
            let length = shape.length_of_bytes(feed)?;
            let records = if length >= BATCH_HEADER {
                let header: [u8; BATCH_HEADER] = feed.array()?;
                feed.skip(length - BATCH_HEADER)?;
                i32::from_be_bytes([header[57], header[58], header[59], header[60]])
            } else {
                feed.skip(length)?;
                0
            };
            shape.skip_tags(feed)?;
            let (error, offset) = match &topic {
                None => (UNKNOWN_TOPIC_ID, -1),
                Some(topic) => match topic.append(partition, records) {
                    None => (UNKNOWN_TOPIC_OR_PARTITION, -1),
                    Some(offset) => (0, offset),
                },
            };
            shape.put_partition(partition, error, offset, answer);
        }
        shape.skip_tags(feed)?;
        shape.put_tags(answer);
    }
    feed.end_frame()?;
    answer.extend(0_i32.to_be_bytes());
    shape.put_tags(answer);
    if acks == 0 {
        answer.clear();
        return Ok(());
    }
    let length = answer.len() as u32 - 4;
    answer[..4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// How a version writes lengths.
struct Shape {
    version: i16,
    flexible: bool,
}

impl Shape {
    fn length_of_text(&self, feed: &mut Feed) -> io::Result<usize> {
        if self.flexible {
            return Ok(feed.unsigned_varint()?.saturating_sub(1) as usize);
        }
        Ok(usize::try_from(feed.short()?).unwrap_or(0))
    }

    fn length_of_bytes(&self, feed: &mut Feed) -> io::Result<usize> {
        if self.flexible {
            return Ok(feed.unsigned_varint()?.saturating_sub(1) as usize);
        }
        Ok(usize::try_from(feed.int()?).unwrap_or(0))
    }

    /// A length, which the answer repeats.
    fn length(&self, feed: &mut Feed, answer: &mut Vec<u8>) -> io::Result<usize> {
        if self.flexible {
            let length = feed.unsigned_varint()?;
            put_unsigned_varint(length, answer);
            return Ok(length.saturating_sub(1) as usize);
        }
        let length = feed.short()?;
        answer.extend(length.to_be_bytes());
        Ok(usize::try_from(length).unwrap_or(0))
    }

    /// How many elements there are, which the answer repeats.
    fn count(&self, feed: &mut Feed, answer: &mut Vec<u8>) -> io::Result<u32> {
        if self.flexible {
            let count = feed.unsigned_varint()?;
            put_unsigned_varint(count, answer);
            return Ok(count.saturating_sub(1));
        }
        let count = feed.int()?;
        answer.extend(count.to_be_bytes());
        Ok(u32::try_from(count).unwrap_or(0))
    }

    fn skip_tags(&self, feed: &mut Feed) -> io::Result<()> {
        if self.flexible { feed.skip_tags() } else { Ok(()) }
    }

    /// No tagged fields.
    fn put_tags(&self, answer: &mut Vec<u8>) {
        if self.flexible {
            answer.push(0);
        }
    }

    fn put_partition(&self, partition: i32, error: i16, offset: i64, answer: &mut Vec<u8>) {
        answer.extend(partition.to_be_bytes());
        answer.extend(error.to_be_bytes());
        answer.extend(offset.to_be_bytes());
        let no_append_time: i64 = -1;
        answer.extend(no_append_time.to_be_bytes());
        if self.version >= 5 {
            let log_start: i64 = 0;
            answer.extend(log_start.to_be_bytes());
        }
        // No errors of single records, and no message; then no tagged fields.
        match self.version {
            ..=7 => {}
            8 => answer.extend([0, 0, 0, 0, 0xff, 0xff]),
            _ => answer.extend([1, 0, 0]),
        }
    }
}

fn put_unsigned_varint(mut value: u32, answer: &mut Vec<u8>) {
    while value >= 0x80 {
        answer.push(value as u8 | 0x80);
        value >>= 7;
    }
    answer.push(value as u8);
}
