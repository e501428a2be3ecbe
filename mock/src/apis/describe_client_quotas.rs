//! DescribeClientQuotas: who may be how fast.

use ottla_protocol::error_code::ErrorCode;
use ottla_protocol::messages::describe_client_quotas::{
    ComponentData, DescribeClientQuotasRequest, DescribeClientQuotasResponse, EntityData, EntryData,
    ValueData,
};

use super::{Call, Reply, Serve};
use crate::cluster::Cluster;
use crate::security::quotas::Entity;
use crate::security::{Operation, Resource};

/// A component's `match_type`: a name.
const EXACT: i8 = 0;
/// The default for those without a quota of their own.
const DEFAULT: i8 = 1;
/// Any name, or the default.
const SPECIFIED: i8 = 2;

impl Serve for DescribeClientQuotasRequest {
    fn serve(self, cluster: &mut Cluster, call: &Call) -> Reply<DescribeClientQuotasResponse> {
        if !cluster.allows(call, Operation::DescribeConfigs, Resource::Cluster) {
            return Reply::Now(self.refuse(call.version, ErrorCode::CLUSTER_AUTHORIZATION_FAILED));
        }
        let known = ["user", "client-id", "ip"];
        let is_valid = |component: &ComponentData| {
            let has_name = component.r#match.is_some();
            component.match_type == EXACT && has_name
                || [DEFAULT, SPECIFIED].contains(&component.match_type) && !has_name
        };
        let unknown =
            self.components.iter().find(|component| !known.contains(&component.entity_type.as_str()));
        let kinds: Vec<&str> = self.components.iter().map(|component| component.entity_type.as_str()).collect();
        let is_twice = (1..kinds.len()).any(|place| kinds[..place].contains(&kinds[place]));
        let is_mixed = kinds.contains(&"ip") && kinds.iter().any(|kind| *kind != "ip");
        if is_twice || is_mixed || kinds.contains(&"") {
            return Reply::Now(self.refuse(call.version, ErrorCode::INVALID_REQUEST));
        }
        if let Some(unknown) = unknown {
            return Reply::Now(DescribeClientQuotasResponse {
                error_message: Some(format!("Unsupported entity type {}", unknown.entity_type)),
                ..self.refuse(call.version, ErrorCode::UNSUPPORTED_VERSION)
            });
        }
        if !self.components.iter().all(is_valid) {
            return Reply::Now(self.refuse(call.version, ErrorCode::INVALID_REQUEST));
        }
        let picked = cluster.security.quotas.iter().filter(|(entity, _)| picks(&self, entity));
        let entries = picked.map(|(entity, values)| EntryData {
            entity: parts(entity)
                .into_iter()
                .map(|(entity_type, entity_name)| EntityData {
                    entity_type: entity_type.to_owned(),
                    entity_name: entity_name.clone(),
                    ..Default::default()
                })
                .collect(),
            values: values
                .iter()
                .map(|(key, value)| ValueData { key: key.clone(), value: *value, ..Default::default() })
                .collect(),
            ..Default::default()
        });
        let entries = Some(entries.collect());
        Reply::Now(DescribeClientQuotasResponse { entries, ..Default::default() })
    }

    fn refuse(&self, _version: i16, error_code: ErrorCode) -> DescribeClientQuotasResponse {
        let error_message = error_code.text().map(str::to_owned);
        DescribeClientQuotasResponse { error_code, error_message, entries: None, ..Default::default() }
    }

    fn throttle(response: &mut DescribeClientQuotasResponse, throttle_time_ms: i32) {
        response.throttle_time_ms = throttle_time_ms;
    }
}

/// The kinds and names that an entity consists of.
fn parts(entity: &Entity) -> Vec<(&'static str, &Option<String>)> {
    let all = [("user", &entity.user), ("client-id", &entity.client_id), ("ip", &entity.ip)];
    all.into_iter().filter_map(|(kind, name)| Some((kind, name.as_ref()?))).collect()
}

fn picks(request: &DescribeClientQuotasRequest, entity: &Entity) -> bool {
    let parts = parts(entity);
    let is_met = |component: &ComponentData| {
        let part = parts.iter().find(|(kind, _)| *kind == component.entity_type);
        part.is_some_and(|(_, name)| match component.match_type {
            EXACT => **name == component.r#match,
            DEFAULT => name.is_none(),
            _ => true,
        })
    };
    request.components.iter().all(is_met) && (!request.strict || parts.len() == request.components.len())
}
