//! Which leader wrote from which offset on.

/// Where a leader epoch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The newest epoch that is not newer than the one asked for.
    pub leader_epoch: i32,
    /// The offset after the last record of it.
    pub end_offset: i64,
}

/// The epochs in which something was appended or a leader began, each with its first offset; both only grow.
#[derive(Clone, Debug, Default)]
pub(super) struct LeaderEpochs(Vec<(i32, i64)>);

impl LeaderEpochs {
    /// Notes that `epoch` begins at `offset`. A newer epoch that began there or later without a record gives way.
    pub(super) fn assign(&mut self, epoch: i32, offset: i64) {
        if epoch < 0 || self.0.last().is_some_and(|&(latest, start)| epoch <= latest && offset >= start) {
            return;
        }
        self.0.retain(|&(known, start)| known < epoch && start < offset);
        self.0.push((epoch, offset));
    }

    pub(super) fn latest(&self) -> Option<i32> {
        self.0.last().map(|&(epoch, _)| epoch)
    }

    /// The epoch of the record at this offset.
    pub(super) fn epoch_at(&self, offset: i64) -> Option<i32> {
        let index = self.0.partition_point(|&(_, start)| start <= offset);
        Some(self.0.get(index.checked_sub(1)?)?.0)
    }

    pub(super) fn end_of(&self, epoch: i32, log_end_offset: i64) -> Option<EpochEnd> {
        if epoch == -1 {
            return None;
        }
        if self.latest() == Some(epoch) {
            return Some(EpochEnd { leader_epoch: epoch, end_offset: log_end_offset });
        }
        let higher = self.0.partition_point(|&(known, _)| known <= epoch);
        let &(_, end_offset) = self.0.get(higher)?;
        let leader_epoch =
            higher.checked_sub(1).and_then(|floor| self.0.get(floor)).map_or(epoch, |entry| entry.0);
        Some(EpochEnd { leader_epoch, end_offset })
    }

    /// The log now begins at this offset.
    pub(super) fn truncate_start(&mut self, offset: i64) {
        let keep = self.0.partition_point(|&(_, start)| start <= offset).saturating_sub(1);
        self.0.drain(..keep);
        if let Some((_, start)) = self.0.first_mut() {
            *start = (*start).max(offset);
        }
    }

    /// The log now ends at this offset.
    pub(super) fn truncate_end(&mut self, offset: i64) {
        self.0.retain(|&(_, start)| start < offset);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        entries.iter().for_each(|&(epoch, offset)| epochs.assign(epoch, offset));
        epochs
    }

    #[test]
    fn an_epoch_ends_where_the_next_one_begins_and_the_latest_at_the_logs_end() {
        let epochs = epochs(&[(2, 6), (3, 8), (5, 11)]);
        let end = |epoch| epochs.end_of(epoch, 20).map(|end| (end.leader_epoch, end.end_offset));
        assert_eq!(end(-1), None);
        assert_eq!(end(0), Some((0, 6)));
        assert_eq!(end(2), Some((2, 8)));
        assert_eq!(end(3), Some((3, 11)));
        assert_eq!(end(4), Some((3, 11)));
        assert_eq!(end(5), Some((5, 20)));
        assert_eq!(end(6), None);
        assert_eq!(LeaderEpochs::default().end_of(0, 20), None);
    }

    #[test]
    fn an_epoch_without_a_record_gives_way_and_an_old_one_changes_nothing() {
        assert_eq!(epochs(&[(1, 0), (2, 5), (3, 5)]).0, [(1, 0), (3, 5)]);
        assert_eq!(epochs(&[(1, 0), (2, 5), (1, 9), (2, 10)]).0, [(1, 0), (2, 5)]);
        assert_eq!(epochs(&[(-1, 0)]).0, []);
    }

    #[test]
    fn cutting_the_log_cuts_its_epochs() {
        let mut epochs = epochs(&[(1, 0), (2, 5), (3, 9)]);
        epochs.truncate_start(6);
        assert_eq!(epochs.0, [(2, 6), (3, 9)]);
        assert_eq!((epochs.epoch_at(5), epochs.epoch_at(6), epochs.epoch_at(100)), (None, Some(2), Some(3)));
        epochs.truncate_end(9);
        assert_eq!((epochs.0.as_slice(), epochs.latest()), (&[(2, 6)][..], Some(2)));
    }
}
