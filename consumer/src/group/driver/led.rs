//! [`Led`]: what the leader of a classic group does beside being a member: it assigns, and watches what it assigned.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use ottla_client::{Client, Cluster, Error, ErrorKind, TopicsInUse};

use crate::group::classic::AssignmentTask;
use crate::group::leader::{self, Layout, Noted};
use crate::group::request::Assigned;

/// Members times partitions up to which an assignor needs no thread of its own, whose turn comes when the system likes.
const QUICK: usize = 1_000;

/// The topics of the group that this member leads.
pub(super) struct Led {
    topics: BTreeSet<String>,
    in_use: TopicsInUse,
    /// Whether racks count. (KIP-881)
    has_rack: bool,
    /// What the last assignment rests on.
    layout: Layout,
    /// The snapshot and generation that were compared last.
    seen: Option<(u64, i32)>,
}

impl Led {
    pub(super) fn new(client: &Client, has_rack: bool) -> Led {
        Led {
            topics: BTreeSet::new(),
            in_use: client.topics_in_use(),
            has_rack,
            layout: Layout::new(),
            seen: None,
        }
    }

    /// Runs the assignor once metadata has told of all topics of all members, or patience is over. Assignors are the user's
    /// and can be slow, so they get a thread.
    pub(super) fn assign(
        &mut self,
        client: &Client,
        task: AssignmentTask,
        patience: Duration,
    ) -> impl Future<Output = Result<Assigned, Error>> + Send + 'static {
        self.follow(&task.topics);
        let AssignmentTask { assignor, members, topics, .. } = task;
        let (client, mut updates) = (client.clone(), client.cluster_updates());
        let (size, has_rack) = (members.len(), self.has_rack);
        async move {
            let answered = updates.wait_for(|cluster| leader::all_answered(cluster, &topics));
            // Topics without an answer by then are left out, and cause another rebalance when they turn up.
            drop(tokio::time::timeout(patience, answered).await);
            let cluster = client.cluster();
            let layout = leader::layout(&cluster, &topics, has_rack, &Layout::new());
            let known = leader::group_topics(&cluster, &topics);
            let partitions: usize = layout.values().map(Vec::len).sum();
            let run = move || {
                let assignments = assignor.assign(&known, &members);
                leader::check_cooperative(&*assignor, &members, &assignments).map(|()| assignments)
            };
            let assigned = if size.saturating_mul(partitions) <= QUICK {
                catch_unwind(AssertUnwindSafe(run)).ok()
            } else {
                tokio::task::spawn_blocking(run).await.ok()
            };
            let panicked =
                || Err(Error::new(ErrorKind::InvalidState, "the assignor of the group's leader panicked"));
            let assignments = assigned.unwrap_or_else(panicked)?;
            Ok(Assigned { assignments, layout })
        }
    }

    /// An assignment was made of this.
    pub(super) fn rest_on(&mut self, layout: Layout) -> &Layout {
        self.layout = layout;
        &self.layout
    }

    /// Why the group has to rebalance, if it does: one of its topics has got, or lost, partitions, or, if this member has a
    /// rack, replicas have moved to other racks. (KIP-881) What the assignment rests on may be `noted` in it.
    pub(super) fn reason_to_rebalance(
        &mut self,
        cluster: &Cluster,
        generation_id: i32,
        topics: &[String],
        noted: Option<Noted>,
    ) -> Option<String> {
        let seen = Some((cluster.generation(), generation_id));
        if self.seen == seen && noted.is_none() {
            return None;
        }
        self.seen = seen;
        self.follow(topics);
        if let Some(noted) = noted {
            let now = leader::layout(cluster, topics, self.has_rack, &self.layout);
            self.layout = leader::noted_layout(&noted, &self.layout, &now);
        }
        let layout = leader::layout(cluster, topics, self.has_rack, &self.layout);
        let last = std::mem::replace(&mut self.layout, layout);
        leader::reason_to_rebalance(&last, &self.layout)
    }

    /// Keeps the metadata of exactly these topics fresh.
    fn follow(&mut self, topics: &[String]) {
        let topics: BTreeSet<String> = topics.iter().cloned().collect();
        topics.difference(&self.topics).for_each(|topic| self.in_use.add(topic));
        self.topics.difference(&topics).for_each(|topic| self.in_use.remove(topic));
        self.topics = topics;
    }
}
