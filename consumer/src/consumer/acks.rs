//! Acknowledgements: which records are processed, where that is not simply what earlier polls returned.

use ottla_client::{Error, ErrorKind};

use super::Consumer;
use super::poll::Portion;
use crate::ack::Acknowledger;
use crate::options::CommitMode;
use crate::record::Record;

impl Consumer {
    /// Acknowledges records from any task. With `commit.mode=acked`, commits name of each partition all up to the first
    /// record that was returned and not acknowledged: in the background with `enable.auto.commit`, at a revocation, by
    /// [`Consumer::close`] and by [`Consumer::commit`].
    ///
    /// ```no_run
    /// # async fn run(kafka: ottla_client::Client) -> Result<(), ottla_client::Error> {
    /// use ottla_consumer::{CommitMode, Consumer, ConsumerOptions};
    ///
    /// let options = ConsumerOptions::new().group_id("mailers").commit_mode(CommitMode::Acked);
    /// let mut consumer = Consumer::new(kafka, options)?;
    /// consumer.subscribe(["mails"])?;
    /// let acknowledger = consumer.acknowledger()?;
    /// loop {
    ///     let record = consumer.next().await?;
    ///     let acknowledger = acknowledger.clone();
    ///     tokio::spawn(async move {
    ///         // Send the mail, however long that takes; then:
    ///         acknowledger.ack(&record);
    ///     });
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// Kind `InvalidState` unless `commit.mode` is `acked`.
    pub fn acknowledger(&self) -> Result<Acknowledger, Error> {
        match self.options.commit_mode {
            CommitMode::Acked => Ok(Acknowledger::new(&self.shared)),
            CommitMode::Position => {
                let message = "records are acknowledged only with option `commit.mode` = `acked`";
                Err(Error::new(ErrorKind::InvalidState, message))
            }
        }
    }

    /// Says that `record` is processed, as [`Acknowledger::ack`] does.
    ///
    /// # Errors
    /// Kind `InvalidState` unless `commit.mode` is `acked`.
    pub fn ack(&self, record: &Record) -> Result<bool, Error> {
        self.acknowledger().map(|acknowledger| acknowledger.ack(record))
    }

    /// Notes a record that is handed out, by a share of it: if it were lent, it had to be put down in memory also where
    /// nothing is noted.
    #[inline(never)]
    pub(super) fn handed_out_alone(&self, share: Record) {
        self.handed_out(&[share]);
    }

    /// Notes what is handed out, if it has to be acknowledged.
    #[inline]
    pub(super) fn handed_out<T: Portion>(&self, portions: &[T]) {
        if self.options.commit_mode == CommitMode::Acked
            && let Some(acks) = &mut self.shared.state().acks
        {
            T::note(portions, acks);
        }
    }
}
