//! `consumer_fetch`: from what a broker sent of one partition to what the application gets, call by call.

use flate2::Crc;
use ottla_consumer::IsolationLevel;
use ottla_consumer::conformance::CompletedFetch;
use ottla_protocol::messages::fetch::AbortedTransaction;
use serde_json::Value as Json;

use crate::case::{bytes, int, list, same, text};
use crate::runner::Outcome;

pub(crate) fn judge(case: &Json) -> Outcome {
    let isolation = match text(case, "isolation") {
        "read_committed" => IsolationLevel::ReadCommitted,
        _ => IsolationLevel::ReadUncommitted,
    };
    let aborted = list(case, "aborted_transactions").iter().map(|aborted| AbortedTransaction {
        producer_id: int(aborted, "producer_id"),
        first_offset: int(aborted, "first_offset"),
        ..Default::default()
    });
    let records = bytes(case, "records_hex");
    let mut fetch = CompletedFetch::new(records, int(case, "fetch_offset"), isolation, aborted.collect());
    let max = int(case, "max_poll_records") as usize;
    for (at, java) in list(&case["java"], "calls").iter().enumerate() {
        if let Err(reason) = call(&mut fetch, max, java) {
            return Outcome::Failed(format!("call {at}: {reason}"));
        }
    }
    Outcome::Passed
}

fn call(fetch: &mut CompletedFetch, max: usize, java: &Json) -> Result<(), String> {
    match (fetch.take(max), java.get("error")) {
        (Err(_), Some(_)) => {}
        (Err(error), None) => return Err(error.to_string()),
        (Ok(records), Some(error)) => return Err(format!("{} records, Java: {error}", records.len())),
        (Ok(records), None) => {
            let offsets: Vec<i64> = records.iter().map(|record| record.offset()).collect();
            let expected: Vec<i64> = list(java, "offsets").iter().filter_map(Json::as_i64).collect();
            same("offsets", &offsets, &expected)?;
            let mut crc = Crc::new();
            for record in &records {
                crc.update(record.key().unwrap_or_default());
                crc.update(b",");
                crc.update(record.value().unwrap_or_default());
                crc.update(b"\n");
            }
            same("checksum of keys and values", &i64::from(crc.sum()), &int(java, "kv_crc32"))?;
        }
    }
    same("next offset", &fetch.next_offset(), &int(java, "next_fetch_offset"))
}
