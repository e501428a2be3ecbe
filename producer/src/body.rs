//! [`Body`]: the records of a batch, and what is charged for their bytes.
//!
//! The two stay together wherever the records go, so that the charge is given back when the bytes are, whoever drops them:
//! the task that tells their outcome, or the codec that has them just then, even as it panics.

use bytes::Bytes;
use ottla_protocol::compression::{CompressionError, Compressor};
use ottla_protocol::records::{BatchBuilder, ProducerState, RecordError, SealOptions, SealedBatch};

use crate::memory::Charge;

/// The records.
#[derive(Debug)]
pub(crate) struct Body {
    content: Content,
    charge: Charge,
}

#[derive(Debug)]
enum Content {
    /// As they were appended.
    Open(BatchBuilder),
    /// As they are sent.
    Sealed(SealedBatch),
}

impl Body {
    pub(crate) fn new(builder: BatchBuilder, charge: Charge) -> Self {
        Body { content: Content::Open(builder), charge }
    }

    /// Whether they have still to be sealed.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.content, Content::Open(_))
    }

    /// Bytes that they take in a request, as far as that is known before they are sealed.
    pub(crate) fn size(&self) -> usize {
        match &self.content {
            Content::Open(builder) => builder.size(),
            Content::Sealed(sealed) => sealed.size(),
        }
    }

    /// Bytes before compression, headers included.
    pub(crate) fn uncompressed_size(&self) -> usize {
        match &self.content {
            Content::Open(builder) => builder.size(),
            Content::Sealed(sealed) => sealed.uncompressed_size(),
        }
    }

    /// Their bytes as they are sent, once they are sealed.
    pub(crate) fn bytes(&self) -> Option<Bytes> {
        match &self.content {
            Content::Open(_) => None,
            Content::Sealed(sealed) => Some(sealed.bytes()),
        }
    }

    /// Bytes of the memory budget that they hold.
    #[cfg(test)]
    pub(crate) fn charged(&self) -> usize {
        self.charge.bytes()
    }

    /// Seals the records, or numbers them anew if they are sealed.
    pub(crate) fn seal(
        self,
        producer: ProducerState,
        compressor: &mut Compressor,
    ) -> Result<Body, CompressionError> {
        let Body { content, charge } = self;
        let sealed = match content {
            Content::Open(builder) => {
                builder.seal(&SealOptions { producer, ..SealOptions::default() }, compressor)?
            }
            Content::Sealed(mut sealed) => {
                sealed.set_producer(producer);
                sealed
            }
        };
        Ok(Body { content: Content::Sealed(sealed), charge })
    }

    /// Gives the memory back, or the charge if somebody still holds the bytes.
    pub(crate) fn let_go(self) -> Option<Charge> {
        let Body { content, charge } = self;
        let buffer = match content {
            Content::Open(builder) => Some(builder.into_buffer()),
            Content::Sealed(sealed) => sealed.into_buffer(),
        };
        match buffer {
            Some(buffer) => {
                charge.give_back(buffer);
                None
            }
            None => Some(charge),
        }
    }

    /// Two builders with half of the records each, and at which record the second begins. None if they are not sealed, or
    /// too few.
    pub(crate) fn halves(&self) -> Result<Option<(u32, [BatchBuilder; 2])>, RecordError> {
        match &self.content {
            Content::Sealed(sealed) if sealed.count() > 1 => {
                let first = sealed.count().div_ceil(2);
                Ok(Some((first as u32, halves(sealed, first)?)))
            }
            _ => Ok(None),
        }
    }

    /// Drops the records; their charge is for others.
    pub(crate) fn into_charge(self) -> Charge {
        self.charge
    }
}

const LONGEST_VARLONG: usize = 10;

fn halves(sealed: &SealedBatch, first: usize) -> Result<[BatchBuilder; 2], RecordError> {
    let mut cursor = sealed.cursor()?;
    // A half has its own first timestamp, to which the distances of the others may take more bytes to write.
    let limit = sealed.uncompressed_size() + LONGEST_VARLONG * sealed.count();
    let mut builders = [BatchBuilder::new(limit), BatchBuilder::new(limit)];
    let mut at = 0;
    while let Some(record) = cursor.next_ref()? {
        let builder = &mut builders[usize::from(at >= first)];
        // It fits, by the choice of the limit.
        let _ = builder.try_append(record.timestamp, record.key, record.value, record.headers);
        at += 1;
    }
    Ok(builders)
}
