use std::time::Duration;

use super::*;
use crate::error::ErrorKind;

#[test]
fn kafkas_names_and_typed_setters_give_the_same_options() {
    let mut by_name = ClientOptions::new();
    for (name, text) in [
        ("bootstrap.servers", " kafka-1:9092 , PLAINTEXT://[::1]:9093,"),
        ("request.timeout.ms", "5000"),
        ("metadata.recovery.strategy", "NONE"),
        ("client.id", "me"),
    ] {
        by_name.set(name, text).unwrap();
    }
    let typed = ClientOptions::new()
        .bootstrap_servers("kafka-1:9092,[::1]:9093")
        .request_timeout(Duration::from_secs(5))
        .metadata_recovery(MetadataRecovery::None)
        .client_id("me");
    assert_eq!(by_name, typed);
    assert_eq!(
        typed.values().bootstrap_servers.iter().collect::<Vec<_>>(),
        [("kafka-1", 9092), ("::1", 9093)]
    );
    typed.validate().unwrap();
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_known_one() {
    let refuse = |name: &str| ClientOptions::new().set(name, "1").unwrap_err();
    assert_eq!(
        refuse("request.timout.ms").to_string(),
        "unknown option `request.timout.ms`: did you mean `request.timeout.ms`?"
    );
    assert_eq!(refuse("CLIENT_ID").to_string(), "unknown option `CLIENT_ID`: did you mean `client.id`?");
    assert_eq!(refuse("quux").to_string(), "unknown option `quux`");
    assert_eq!(refuse("quux").kind(), ErrorKind::Config);
}

#[test]
fn values_out_of_bounds_and_nonsense_are_refused_by_name() {
    let refuse = |name: &str, text: &str| ClientOptions::new().set(name, text).unwrap_err().to_string();
    assert_eq!(refuse("request.timeout.ms", "0"), "option `request.timeout.ms`: 0 is below 1");
    assert_eq!(
        refuse("request.timeout.ms", "5s"),
        "option `request.timeout.ms`: `5s` is not a whole number of milliseconds"
    );
    assert_eq!(
        refuse("receive.message.max.bytes", "2147483648"),
        "option `receive.message.max.bytes`: 2147483648 is above 2147483647"
    );
    assert_eq!(
        refuse("metadata.recovery.strategy", "x"),
        "option `metadata.recovery.strategy`: `x` is not one of `rebootstrap`, `none`"
    );
    for servers in ["kafka", "kafka:0", "kafka:99999", ":9092", "a:b:1", "", "a b:1"] {
        assert!(ClientOptions::from_pairs([("bootstrap.servers", servers)]).is_err(), "{servers}");
        let error = ClientOptions::new().bootstrap_servers(servers).validate().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{servers}");
    }
    let crossed = ClientOptions::new().bootstrap_servers("a:1").retry_backoff(Duration::from_secs(2));
    assert_eq!(
        crossed.validate().unwrap_err().to_string(),
        "option `retry.backoff.ms`: 2000 is above its maximum of 1000"
    );
}

#[test]
fn every_default_reads_back_and_lies_within_its_bounds() {
    for row in ClientOptions::ROWS.iter().filter(|row| row.name != "bootstrap.servers") {
        ClientOptions::new().set(row.name, &(row.default)()).unwrap_or_else(|error| panic!("{error}"));
    }
    ClientOptions::new().bootstrap_servers("a:1").validate().unwrap();
}

#[test]
fn the_table_prints_as_markdown() {
    let table = markdown(ClientOptions::ROWS);
    assert_eq!(table.lines().count(), ClientOptions::ROWS.len() + 2);
    assert!(
        table
            .contains("| `request.timeout.ms` | milliseconds | `30000` | at least 1 | How long a broker may")
    );
    assert!(table.contains("| `receive.message.max.bytes` | int | `134217728` | 65536 to 2147483647 |"));
}

mod secret {
    #![allow(unreachable_pub, dead_code, reason = "tables are meant for public structs")]

    crate::options! {
        /// Options with a secret.
        pub struct SecretOptions, SecretValues {
            /// A password.
            "password" => password: Option<String> = None, secret = true, alias = none;
            /// How often.
            "times" => times: u32 = 1, max 3, alias = none;
            /// Perhaps.
            "perhaps" => perhaps: Option<u64> = None, alias = none;
        }
    }
}

#[test]
fn secrets_are_never_shown() {
    let options = secret::SecretOptions::new().password("hunter2").times(2).perhaps(5);
    assert_eq!(format!("{options:?}"), r#"{"password": [hidden], "times": "2", "perhaps": "5"}"#);
    assert!(secret::SecretOptions::ROWS[0].secret && !secret::SecretOptions::ROWS[1].secret);
    assert!(secret::SecretOptions::knows("times") && !secret::SecretOptions::knows("time"));
    assert_eq!(options.values().perhaps, Some(5));
}

#[test]
fn a_duration_that_would_overflow_a_clock_is_refused() {
    let mut options = ClientOptions::new();
    let error = options.set("metadata.max.age.ms", "9223372036854775807").unwrap_err();
    assert_eq!(error.to_string(), "option `metadata.max.age.ms`: 9223372036854775807 is above 3153600000000");
    let options = ClientOptions::new().bootstrap_servers("a:1").connections_max_idle(Duration::MAX);
    assert_eq!(options.validate().unwrap_err().kind(), ErrorKind::Config);
}
