//! [`ProducerBuilder`]: a producer with more than options.

use std::fmt;
use std::sync::Arc;

use ottla_client::{Client, Error};

use crate::interceptor::Interceptor;
use crate::options::ProducerOptions;
use crate::producer::Producer;

/// Makes a producer with what no text can say: interceptors.
///
/// ```
/// use ottla_producer::{Interceptor, Producer, ProducerOptions, Sending};
///
/// struct Region(&'static str);
///
/// impl Interceptor for Region {
///     fn on_send(&self, sending: &mut Sending<'_>) {
///         sending.add_header("region", Some(self.0.as_bytes()));
///     }
/// }
///
/// # fn make(client: ottla_client::Client) -> Result<Producer, ottla_client::Error> {
/// let producer = Producer::builder(client, ProducerOptions::new()).interceptor(Region("eu")).build()?;
/// # Ok(producer)
/// # }
/// ```
#[must_use = "a builder does nothing before `build`"]
pub struct ProducerBuilder {
    client: Client,
    options: ProducerOptions,
    interceptors: Vec<Arc<dyn Interceptor>>,
}

impl ProducerBuilder {
    pub(crate) fn new(client: Client, options: ProducerOptions) -> Self {
        ProducerBuilder { client, options, interceptors: Vec::new() }
    }

    /// Adds an interceptor behind those that were added before. To keep a handle of it, give an `Arc`.
    pub fn interceptor(mut self, interceptor: impl Interceptor + 'static) -> Self {
        self.interceptors.push(Arc::new(interceptor));
        self
    }

    /// Makes the producer.
    ///
    /// # Errors
    /// As [`Producer::new`].
    pub fn build(self) -> Result<Producer, Error> {
        Producer::start(self.client, self.options, self.interceptors)
    }
}

impl fmt::Debug for ProducerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerBuilder")
            .field("options", &self.options)
            .field("interceptors", &self.interceptors.len())
            .finish_non_exhaustive()
    }
}
