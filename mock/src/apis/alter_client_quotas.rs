//! AlterClientQuotas: who may be how fast from now on.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::alter_client_quotas::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, EntityData, RequestEntryData, ResponseEntryData,
};

use super::{Call, Reply, Serve};
use crate::cluster::{Cluster, Refusal};
use crate::security::quotas::{CONNECTION_CREATION_RATE, Entity, KEYS};
use crate::security::{Operation, Resource};

impl Serve for AlterClientQuotasRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<AlterClientQuotasResponse> {
        if !cluster.allows(call, Operation::AlterConfigs, Resource::Cluster) {
            return Reply::Now(self.refuse(call.version, ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
        }
        let mut entries = Vec::new();
        for entry in &self.entries {
            entries.push(match check(entry) {
                Ok(entity) => {
                    for op in entry.ops.iter().filter(|_| !self.validate_only) {
                        let value = (!op.remove).then_some(op.value);
                        cluster.security.quotas.alter(&entity, &op.key, value);
                    }
                    ResponseEntryData { error_message: None, ..result(entry, ErrorCode::NONE, None) }
                }
                Err(refusal) => result(entry, refusal.code, Some(refusal.message)),
            });
        }
        Reply::Now(AlterClientQuotasResponse { entries, ..Default::default() })
    }

    fn refuse(&self, _version: i16, code: ErrorCode) -> AlterClientQuotasResponse {
        let entries = self.entries.iter().map(|entry| result(entry, code, None)).collect();
        AlterClientQuotasResponse { entries, ..Default::default() }
    }

    fn throttle(response: &mut AlterClientQuotasResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }
}

/// Whom an entry concerns, if it and its changes are sound.
fn check(entry: &RequestEntryData) -> Result<Entity, Refusal> {
    let refuse = |text: String| Refusal::new(ErrorCode::INVALID_REQUEST, text);
    let mut entity = Entity::default();
    for EntityData { entity_type, entity_name, .. } in &entry.entity {
        let part = match entity_type.as_str() {
            "user" => &mut entity.user,
            "client-id" => &mut entity.client_id,
            "ip" => &mut entity.ip,
            other => return Err(refuse(format!("Unhandled client quota entity type: {other}"))),
        };
        if part.replace(entity_name.clone()).is_some() {
            return Err(refuse(format!("Duplicate client quota entity type: {entity_type}")));
        }
    }
    if entity == Entity::default() {
        return Err(refuse("Invalid empty client quota entity".to_owned()));
    }
    let is_named = |part: &Option<Option<String>>| !matches!(part, Some(Some(name)) if name.is_empty());
    if ![&entity.user, &entity.client_id, &entity.ip].into_iter().all(is_named) {
        return Err(refuse("Empty client quota entity name".to_owned()));
    }
    let is_of_address = entity.ip.is_some();
    if is_of_address && (entity.user.is_some() || entity.client_id.is_some()) {
        return Err(refuse("An address stands for itself in client quota entities".to_owned()));
    }
    if let Some(Some(ip)) = &entity.ip
        && ip.parse::<std::net::IpAddr>().is_err()
    {
        return Err(refuse(format!("{ip} is no valid IP or resolvable host")));
    }
    for op in &entry.ops {
        // Connections are counted by address, everything else by user and client.
        if is_of_address != (op.key == CONNECTION_CREATION_RATE) && KEYS.contains(&op.key.as_str()) {
            return Err(refuse(format!("Invalid configuration key {} for this entity", op.key)));
        }
        if !KEYS.contains(&op.key.as_str()) {
            return Err(refuse(format!("Invalid configuration key {}", op.key)));
        }
        if !op.remove && (op.value.is_nan() || op.value <= 0.0) {
            return Err(refuse(format!("Quota {} must be greater than 0", op.key)));
        }
        let is_fraction = !op.key.ends_with("_byte_rate") && op.key != CONNECTION_CREATION_RATE;
        if !op.remove && !is_fraction && (op.value - op.value.round()).abs() > 1e-6 {
            return Err(refuse(format!("Quota {} must be a whole number", op.key)));
        }
    }
    Ok(entity)
}

fn result(entry: &RequestEntryData, error_code: ErrorCode, message: Option<String>) -> ResponseEntryData {
    ResponseEntryData {
        error_code,
        error_message: message.or_else(|| error_code.text().map(str::to_owned)),
        entity: entry.entity.clone(),
        ..Default::default()
    }
}
