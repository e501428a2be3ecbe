//! The clients as readers: each reads a topic from its start and looks at every value.

mod krafka;
mod ottla;
mod raw;
mod rdkafka;
mod rskafka;

use crate::Failure;
use crate::settings::Settings;

/// What was read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Records.
    pub records: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Of the values' first and last bytes, so that each has been touched.
    pub sum: u64,
}

impl Seen {
    /// Looks at a record.
    #[inline]
    pub fn look(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.records += 1;
        self.bytes += key.map_or(0, |key| key.len() as u64);
        if let Some(value) = value {
            self.bytes += value.len() as u64;
            if let (Some(first), Some(last)) = (value.first(), value.last()) {
                self.sum = self.sum.wrapping_add(u64::from(*first) + u64::from(*last));
            }
        }
    }
}

/// A client that reads.
pub trait Reader {
    /// Its settings, in words.
    fn settings(&self) -> String;

    /// Reads at least `count` records, and whatever more comes in one piece with the last of them.
    ///
    /// # Errors
    /// When they can't be read.
    fn read(&mut self, count: u64) -> Result<Seen, Failure>;
}

/// Makes the client that the settings name.
///
/// # Errors
/// When there is none of that name, or it can't do what is asked.
pub fn start(settings: &Settings) -> Result<Box<dyn Reader>, Failure> {
    let settings = settings.clone();
    Ok(match settings.peer.as_str() {
        "ottla" => Box::new(ottla::Ottla::start(settings, ottla::By::Poll)?),
        "ottla-batches" => Box::new(ottla::Ottla::start(settings, ottla::By::Batch)?),
        "ottla-next" => Box::new(ottla::Ottla::start(settings, ottla::By::Next)?),
        "rdkafka" => Box::new(rdkafka::Rdkafka::start(settings, rdkafka::Backoff::Default)?),
        "rdkafka-tuned" => Box::new(rdkafka::Rdkafka::start(settings, rdkafka::Backoff::Short)?),
        "krafka" => Box::new(krafka::Krafka::start(settings)?),
        "rskafka" => Box::new(rskafka::Rskafka::start(settings)?),
        "raw" => Box::new(raw::Raw::start(&settings)?),
        other => return Err(format!("no reader {other} here").into()),
    })
}
