//! How a producer comes to be: from options to the machine, its task and the first handle.

use std::sync::{Arc, OnceLock};

use ottla_client::{Client, Error, ErrorKind};
use ottla_protocol::compression::{Compression, Compressor};
use tokio::sync::{Notify, mpsc, watch};

use super::{Handle, Producer};
use crate::accumulator::Accumulator;
use crate::acknowledge::Outbox;
use crate::driver::{Driver, Interest, Sealers, Shared};
use crate::interceptor::{Interceptor, Interceptors};
use crate::options::{IDEMPOTENT_IN_FLIGHT, ProducerOptions};
use crate::runtime;
use crate::sender::{Rules, Sender};

impl Producer {
    pub(crate) fn start(
        client: Client,
        options: ProducerOptions,
        interceptors: Vec<Arc<dyn Interceptor>>,
    ) -> Result<Producer, Error> {
        options.validate()?;
        let runtime = runtime::current()?;
        let values = options.values();
        let level = values.compression_level()?;
        let compressor = Compressor::new(level)
            .map_err(|error| Error::new(ErrorKind::Config, "option `compression.type`").with_cause(error))?;
        let accumulator = Accumulator::new(
            values.batch_size.min(values.max_request_size),
            values.max_request_size,
            values.buffer_memory,
            values.partitioner.clone(),
            values.partitioner_ignore_keys,
        );
        let is_compressed = compressor.codec() != Compression::None;
        let accumulator = Arc::new(if is_compressed { accumulator } else { accumulator.sum_early() });
        accumulator.memory.meter.name(&client.options().values().client_id);
        let idempotent = values.is_idempotent();
        let rules = Rules {
            idempotent,
            max_in_flight: if idempotent {
                values.max_in_flight.min(IDEMPOTENT_IN_FLIGHT)
            } else {
                values.max_in_flight
            },
            max_request_size: values.max_request_size,
            linger: values.linger,
            delivery_timeout: values.delivery_timeout,
            retries: values.max_retries,
            backoff: values.backoff(),
            adaptive: values.partitioner_adaptive,
            availability: values.partitioner_availability_timeout,
            max_idle: values.metadata_max_idle,
        };
        let in_use = client.topics_in_use().creating(values.allow_auto_create_topics);
        let topics = Interest::new(in_use, values.metadata_max_idle);
        let sender = Sender::new(rules, Arc::clone(&accumulator), compressor);
        let sealers = Sealers::new(level);
        let shared = Arc::new(Shared {
            client,
            options,
            accumulator,
            topics,
            outbox: Outbox::new(Interceptors::new(interceptors)),
            notify: Notify::new(),
            fatal: OnceLock::new(),
        });
        let (commands, inbox) = mpsc::unbounded_channel();
        let (task, alive) = watch::channel(());
        runtime.spawn(Driver::new(Arc::clone(&shared), sender, sealers, inbox, alive).run());
        let is_intercepted = !shared.outbox.interceptors().is_empty();
        Ok(Producer(Arc::new(Handle { shared, commands, task, is_intercepted })))
    }
}
