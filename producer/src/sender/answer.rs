//! What an answer means for the batch that it is about.
//!
//! Sources: KIP-98, KIP-360, KIP-467, KIP-588, KIP-951.

use ottla_client::Error;
use ottla_protocol::error_code::ErrorCode;

/// What became of one batch of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// What the broker said.
    Said(Said),
    /// The broker's answer did not come, or could not be read.
    Failed(Error),
}

/// A broker's answer for one partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) code: ErrorCode,
    pub(crate) base_offset: Option<i64>,
    pub(crate) log_append_time: Option<i64>,
    /// Records at fault, with what is wrong.
    pub(crate) record_errors: Vec<(u32, Option<String>)>,
    pub(crate) message: Option<String>,
}

/// What to do with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Written,
    /// Send it again; `unknown`: it may be written already.
    Retry {
        unknown: bool,
    },
    OutOfOrder,
    NeedsNewId,
    Split,
    /// It failed and is not written.
    Refused,
    /// It failed and may be written.
    Lost,
    /// The producer as a whole can't go on.
    Fatal,
}

/// Errors after which the batch is certainly not in the log. Not among them is `NOT_LEADER_OR_FOLLOWER`: a leader that is
/// deposed while it waits for its followers says so too, and the next leader may have got the batch from it.
const NOT_WRITTEN: &[ErrorCode] = &[
    ErrorCode::CORRUPT_MESSAGE,
    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode::UNKNOWN_TOPIC_ID,
    ErrorCode::LEADER_NOT_AVAILABLE,
    ErrorCode::NOT_ENOUGH_REPLICAS,
    ErrorCode::FENCED_LEADER_EPOCH,
    ErrorCode::UNKNOWN_LEADER_EPOCH,
    ErrorCode::THROTTLING_QUOTA_EXCEEDED,
];

/// Judges an error code.
pub(super) fn judge(code: ErrorCode, idempotent: bool) -> Verdict {
    match code {
        ErrorCode::NONE => Verdict::Written,
        // The broker has had it before, longer ago than it remembers offsets.
        ErrorCode::DUPLICATE_SEQUENCE_NUMBER if idempotent => Verdict::Written,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER | ErrorCode::UNKNOWN_PRODUCER_ID if idempotent => {
            Verdict::OutOfOrder
        }
        ErrorCode::INVALID_PRODUCER_EPOCH if idempotent => Verdict::NeedsNewId,
        ErrorCode::PRODUCER_FENCED | ErrorCode::CLUSTER_AUTHORIZATION_FAILED if idempotent => Verdict::Fatal,
        ErrorCode::MESSAGE_TOO_LARGE => Verdict::Split,
        ErrorCode::UNKNOWN_SERVER_ERROR => Verdict::Lost,
        code if code.is_retriable() => Verdict::Retry { unknown: !NOT_WRITTEN.contains(&code) },
        // Nobody here knows what a newer broker means by it.
        code if code.name().is_none() => Verdict::Lost,
        _ => Verdict::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_judged_by_what_it_says_about_the_log() {
        use Verdict::*;
        let idempotent = |code| judge(code, true);
        assert_eq!(idempotent(ErrorCode::DUPLICATE_SEQUENCE_NUMBER), Written);
        assert_eq!(judge(ErrorCode::DUPLICATE_SEQUENCE_NUMBER, false), Refused);
        assert_eq!(idempotent(ErrorCode::UNKNOWN_PRODUCER_ID), OutOfOrder);
        assert_eq!(idempotent(ErrorCode::INVALID_PRODUCER_EPOCH), NeedsNewId);
        assert_eq!(idempotent(ErrorCode::PRODUCER_FENCED), Fatal);
        assert_eq!(idempotent(ErrorCode::NOT_ENOUGH_REPLICAS), Retry { unknown: false });
        assert_eq!(idempotent(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND), Retry { unknown: true });
        assert_eq!(idempotent(ErrorCode::KAFKA_STORAGE_ERROR), Retry { unknown: true });
        assert_eq!(idempotent(ErrorCode::NOT_LEADER_OR_FOLLOWER), Retry { unknown: true });
        assert_eq!(idempotent(ErrorCode::TOPIC_AUTHORIZATION_FAILED), Refused);
        assert_eq!(idempotent(ErrorCode::MESSAGE_TOO_LARGE), Split);
        assert_eq!(idempotent(ErrorCode(9999)), Lost);
    }
}
