//! FindCoordinator's question and answer, whose forms differ by version. Pure.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::find_coordinator::{
    FindCoordinatorRequest, FindCoordinatorResponse, KEY_TYPE_GROUP, KEY_TYPE_TRANSACTION,
};

use crate::error::{Error, ErrorKind};
use crate::metadata::NodeId;
use crate::purpose::CoordinatorKey;

/// What one broker said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) node: NodeId,
    pub(super) host: String,
    pub(super) port: u16,
}

/// The question, in the form of its version.
pub(super) fn request(key: &CoordinatorKey, version: i16) -> Result<FindCoordinatorRequest, Error> {
    let (key_type, id) = match key {
        CoordinatorKey::Group(id) => (KEY_TYPE_GROUP, id),
        CoordinatorKey::Transaction(id) => (KEY_TYPE_TRANSACTION, id),
    };
    if version < 1 && key_type != KEY_TYPE_GROUP {
        return Err(Error::new(
            ErrorKind::UnsupportedVersion,
            format!("the broker is too old for the coordinator of {key}"),
        ));
    }
    let mut request = FindCoordinatorRequest { key_type, ..Default::default() };
    match version {
        ..4 => request.key = id.to_string(),
        _ => request.coordinator_keys = vec![id.to_string()],
    }
    Ok(request)
}

/// The answer, in either form.
pub(super) fn read(key: &CoordinatorKey, mut response: FindCoordinatorResponse) -> Result<Found, Error> {
    let (code, message, node, host, port) = match response.coordinators.pop() {
        Some(found) => (found.error_code, found.error_message, found.node_id, found.host, found.port),
        None => (response.error_code, response.error_message, response.node_id, response.host, response.port),
    };
    if !code.is_ok() {
        let why = message
            .filter(|message| !message.is_empty())
            .map(|message| format!(" ({message})"))
            .unwrap_or_default();
        return Err(Error::from_code(code, format!("no coordinator of {key}{why}")));
    }
    match u16::try_from(port) {
        Ok(port) if node >= 0 && !host.is_empty() => Ok(Found { node, host, port }),
        _ => Err(Error::from_code(
            ErrorCode::COORDINATOR_NOT_AVAILABLE,
            format!("the coordinator of {key} has no address"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use ottla_protocol::messages::find_coordinator::Coordinator;

    use super::*;

    #[test]
    fn each_version_asks_in_its_form() {
        let group = CoordinatorKey::Group("g".into());
        let transaction = CoordinatorKey::Transaction("t".into());
        let old = request(&group, 0).unwrap();
        assert_eq!((old.key.as_str(), old.key_type, old.coordinator_keys.len()), ("g", 0, 0));
        let new = request(&transaction, 4).unwrap();
        assert_eq!((new.key.as_str(), new.key_type, new.coordinator_keys), ("", 1, vec!["t".to_owned()]));
        assert_eq!(request(&transaction, 0).unwrap_err().kind(), ErrorKind::UnsupportedVersion);
    }

    #[test]
    fn both_forms_of_the_answer_are_read() {
        let key = CoordinatorKey::Group("g".into());
        let found = Found { node: 3, host: "h".into(), port: 9092 };
        let old = FindCoordinatorResponse { node_id: 3, host: "h".into(), port: 9092, ..Default::default() };
        assert_eq!(read(&key, old).unwrap(), found);
        let coordinator = Coordinator { node_id: 3, host: "h".into(), port: 9092, ..Default::default() };
        let new = FindCoordinatorResponse { coordinators: vec![coordinator.clone()], ..Default::default() };
        assert_eq!(read(&key, new).unwrap(), found);
        let coordinator = Coordinator { node_id: -1, error_code: ErrorCode::NONE, ..coordinator };
        let odd = FindCoordinatorResponse { coordinators: vec![coordinator], ..Default::default() };
        assert!(read(&key, odd).unwrap_err().is_retriable());
        let denied = FindCoordinatorResponse {
            error_code: ErrorCode::GROUP_AUTHORIZATION_FAILED,
            error_message: Some("no".into()),
            ..Default::default()
        };
        let error = read(&key, denied).unwrap_err();
        assert_eq!((error.kind(), error.is_retriable()), (ErrorKind::Authorization, false));
        assert!(
            error.to_string().starts_with("no coordinator of group `g` (no): GROUP_AUTHORIZATION_FAILED")
        );
    }
}
