//! Asks leaders and the coordinator for offsets.

use std::collections::HashMap;
use std::time::Instant;

use ottla_client::{Error, ErrorKind, Purpose, TopicPartition};
use ottla_protocol::messages::list_offsets::{ListOffsetsRequest, ListOffsetsResponse};

use super::reset::LookupBatch;
use crate::fetch::driver::{Context, millis, now, random};
use crate::fetch::plan::Routes;
use crate::subscription::{Generation, Position};

/// Looks up a batch of offsets, once; what fails is due again after a backoff.
pub(crate) async fn look_up(context: &Context, batch: LookupBatch) {
    let mut updates = context.client.cluster_updates();
    let moved = async {
        // A leader that is gone would be waited for until the request times out, while another has taken over.
        let leads = |cluster: &ottla_client::Cluster| {
            let elsewhere = |lookup: &super::reset::Lookup| {
                cluster.route(&lookup.partition).is_some_and(|route| route.leader != batch.leader)
            };
            !batch.lookups.iter().any(elsewhere)
        };
        while leads(&updates.borrow_and_update()) {
            if updates.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        Error::new(ErrorKind::Disconnected, "the leader moved while it was asked for offsets")
    };
    let outcome = tokio::select! {
        outcome = ask(context, &batch) => outcome,
        error = moved => Err(error),
    };
    let now = now();
    let stale = match outcome {
        Ok(response) => context.shared.state().handle_offsets(&batch, now, random(), &response),
        Err(error) => {
            tracing::debug!(node = batch.leader, %error, "looking up offsets failed");
            context.shared.state().handle_lookup_failure(batch.asked(), now, random(), &error);
            true
        }
    };
    if stale {
        context.client.refresh_metadata();
    }
    context.shared.news.notify_one();
}

async fn ask(context: &Context, batch: &LookupBatch) -> Result<ListOffsetsResponse, Error> {
    let timeout = context.client.options().values().request_timeout;
    let deadline: Instant = now() + timeout;
    let connection = context.client.connection(batch.leader, Purpose::General, deadline).await?;
    let version = connection.version::<ListOffsetsRequest>()?;
    let request = batch.request(context.options.isolation_level, millis(timeout));
    connection.submit(&request, version, deadline)?.await
}

/// Fetches the group's committed offsets of these partitions.
pub(crate) async fn fetch_committed(context: &Context, asked: Vec<(TopicPartition, Generation)>) {
    let Some(committer) = context.shared.committer() else {
        let error = Error::new(ErrorKind::Config, "there are no committed offsets without option `group.id`");
        let asked = asked.iter().map(|(name, generation)| (name, *generation));
        context.shared.state().handle_lookup_failure(asked, now(), random(), &error);
        context.shared.news.notify_one();
        return;
    };
    let names: Vec<TopicPartition> = asked.iter().map(|(name, _)| name.clone()).collect();
    let outcome = committer.fetch(&names, now() + context.options.default_api_timeout).await;
    let mut state = context.shared.state();
    match outcome {
        Ok(offsets) => {
            let position = |(name, offset): (TopicPartition, Option<crate::OffsetAndMetadata>)| {
                let found =
                    offset.map(|found| Position { offset: found.offset, leader_epoch: found.leader_epoch });
                (name, found)
            };
            let offsets: HashMap<_, _> = offsets.into_iter().map(position).collect();
            state.handle_committed(&asked, &offsets);
        }
        Err(error) => {
            tracing::warn!(%error, "cannot fetch committed offsets");
            let asked = asked.iter().map(|(name, generation)| (name, *generation));
            state.handle_lookup_failure(asked, now(), random(), &error);
        }
    }
    drop(state);
    context.shared.news.notify_one();
}
