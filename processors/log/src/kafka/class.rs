//! What a client's error means for a lane.

use jupan_schemas::Lane;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::LaneError;

/// Classes of errors. The library's own flags (fatal, retriable, abortable) don't decide: a fatal
/// error is no proof that a commit did not happen, and an error may carry none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// A newer producer has the lane's transactional id.
    Fenced,
    /// The group has moved on without this member.
    Displaced,
    /// The broker does not allow it, and will not.
    Forbidden,
    /// What was sent can't be taken: too large, or no such topic.
    Refused,
    /// Anything else: what was asked for may have happened or not.
    Unknown,
}

pub(super) fn class(error: &KafkaError) -> Class {
    error.rdkafka_error_code().map_or(Class::Unknown, class_of)
}

/// The class of an error's code.
pub(super) fn class_of(code: Code) -> Class {
    match code {
        Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch => Class::Fenced,
        Code::IllegalGeneration
        | Code::UnknownMemberId
        | Code::FencedInstanceId
        | Code::AssignmentLost => Class::Displaced,
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::SaslAuthenticationFailed
        | Code::Authentication => Class::Forbidden,
        Code::MessageSizeTooLarge
        | Code::MessageBatchTooLarge
        | Code::InvalidRecord
        | Code::InvalidTopic
        | Code::PolicyViolation
        | Code::UnknownTopic
        | Code::UnknownPartition
        | Code::QueueFull => Class::Refused,
        _ => Class::Unknown,
    }
}

/// What a lane is told about an error. `doing` says what failed.
pub(super) fn lane_error(lane: Lane, doing: &str, error: &KafkaError) -> LaneError {
    let cause = format!("{doing}: {error}");
    match class(error) {
        Class::Fenced | Class::Displaced => LaneError::Fenced { lane },
        Class::Forbidden | Class::Refused => LaneError::Broken { lane, cause },
        Class::Unknown => LaneError::Unknown { lane, cause },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_newer_producer_or_generation_is_a_fence() {
        let rows = [
            (Code::Fenced, Class::Fenced),
            (Code::ProducerFenced, Class::Fenced),
            (Code::InvalidProducerEpoch, Class::Fenced),
            (Code::IllegalGeneration, Class::Displaced),
            (Code::UnknownMemberId, Class::Displaced),
            (Code::FencedInstanceId, Class::Displaced),
            (Code::TransactionalIdAuthorizationFailed, Class::Forbidden),
            (Code::MessageSizeTooLarge, Class::Refused),
            // Each of these leaves open whether something happened.
            (Code::Fatal, Class::Unknown),
            (Code::OperationTimedOut, Class::Unknown),
            (Code::RequestTimedOut, Class::Unknown),
            (Code::BrokerTransportFailure, Class::Unknown),
            (Code::InvalidTransactionalState, Class::Unknown),
            (Code::InvalidProducerIdMapping, Class::Unknown),
            (Code::ConcurrentTransactions, Class::Unknown),
            (Code::UnknownTopicOrPartition, Class::Unknown),
            (Code::Inconsistent, Class::Unknown),
        ];
        for (code, expected) in rows {
            assert_eq!(class_of(code), expected, "{code:?}");
        }
    }
}
