//! The options of Kafka's producer, consumer and admin client against Ottla's: name, type and default.
//!
//! A line is judged by the option that Ottla has of that name, for that client or for all. Our option has to take Kafka's
//! default as text, and be at its own default then, or be listed in [`DEPARTURES`]; bounds are not compared. A line of an
//! option that Ottla doesn't have has to be listed in [`NOT_OFFERED`] and is counted as such: nothing was judged.

use ottla_client::options::{ClientOptions, OptionRow};
use ottla_consumer::ConsumerOptions;
use ottla_producer::ProducerOptions;
use serde_json::Value as Json;

use crate::case::{flag, same, text};
use crate::runner::Outcome;

/// Where a default differs from Kafka's: the client, the option, ours, and why.
const DEPARTURES: &[(&str, &str, &str, &str)] = &[
    ("producer", "client.id", "ottla", "brokers' logs and quotas name the client without any configuration"),
    ("consumer", "client.id", "ottla", "as the producer's"),
    ("admin", "client.id", "ottla", "as the producer's"),
    (
        "producer",
        "enable.idempotence",
        "",
        "unset is on, unless `acks` or `retries` rule it out, as in Kafka",
    ),
    (
        "admin",
        "connections.max.idle.ms",
        "540000",
        "all clients of a handle share their connections, and so the option",
    ),
];

/// Options that Ottla doesn't have, or not yet, and why: by name, by the beginning of names (with `.` at its end), or by
/// client and name, where other clients have it.
const NOT_OFFERED: &[(&str, &str)] = &[
    // Java's own: classes that a program names by string. In Rust they are values.
    ("key.serializer", "Java classes"),
    ("value.serializer", "Java classes"),
    ("key.deserializer", "Java classes"),
    ("value.deserializer", "Java classes"),
    ("interceptor.classes", "Java classes"),
    ("config.providers", "Java classes"),
    ("security.providers", "Java classes"),
    ("metric.reporters", "Java classes"),
    // Java's metrics, which are read by JMX.
    ("metrics.", "Java's metrics"),
    ("auto.include.jmx.reporter", "Java's metrics"),
    // Nothing that a user should set: of Kafka Streams, or of Kafka's own tests.
    ("internal.", "for Kafka's own use"),
    // Not yet: TLS and SASL.
    ("ssl.", "TLS, not yet"),
    ("sasl.", "SASL, not yet"),
    ("security.protocol", "SASL and TLS, not yet"),
    // Not yet: what else belongs to parts of Ottla that are to come.
    ("enable.metrics.push", "telemetry, not yet"),
    ("transaction.timeout.ms", "transactions, not yet"),
    ("transactional.id", "transactions, not yet"),
    ("transaction.two.phase.commit.enable", "transactions, not yet"),
    ("share.acknowledgement.mode", "share groups, not yet"),
    ("share.acquire.mode", "share groups, not yet"),
    ("bootstrap.controllers", "the admin client, not yet"),
    ("admin retries", "the admin client, not yet"),
    // Not yet: single wishes.
    ("send.buffer.bytes", "sockets keep the system's buffers"),
    ("receive.buffer.bytes", "sockets keep the system's buffers"),
];

pub(crate) fn judge(case: &Json) -> Outcome {
    let (client, name) = (text(case, "client"), text(case, "name"));
    let full = format!("{client} {name}");
    let listed = NOT_OFFERED.iter().find(|(pattern, _)| match pattern.strip_suffix('.') {
        Some(_) => name.starts_with(pattern),
        None => *pattern == name || *pattern == full,
    });
    let verdict = match (row(client, name), listed) {
        // The beginning of names may cover options that came since.
        (Some(_), Some((exact, _))) if !exact.ends_with('.') => {
            Err("is an option, and listed as not offered".to_owned())
        }
        (Some((row, own)), _) => compare(case, row, own),
        (None, Some((_, why))) => return Outcome::NotOffered((*why).to_owned()),
        (None, None) => Err("is no option, nor listed as not offered".to_owned()),
    };
    verdict.map_err(|reason| format!("{full}: {reason}")).into()
}

/// Reads a text as the value of an option, and tells whether the option is at its default then, and what is printed.
type Set = fn(&str, &str) -> Result<(bool, String), String>;

/// The option of that client, or of all clients.
fn row(client: &str, name: &str) -> Option<(&'static OptionRow, Set)> {
    let find = |rows: &'static [OptionRow]| rows.iter().find(|row| row.name == name);
    let own = match client {
        "producer" => find(ProducerOptions::ROWS).map(|row| (row, set_producer as Set)),
        "consumer" => find(ConsumerOptions::ROWS).map(|row| (row, set_consumer as Set)),
        _ => None,
    };
    own.or_else(|| find(ClientOptions::ROWS).map(|row| (row, set_client as Set)))
}

macro_rules! setters {
    ($($name:ident: $options:ty;)*) => {$(
        fn $name(name: &str, value: &str) -> Result<(bool, String), String> {
            let mut options = <$options>::new();
            options.set(name, value).map_err(|error| error.to_string())?;
            Ok((options == <$options>::new(), format!("{options:?}")))
        }
    )*};
}

setters! {
    set_producer: ProducerOptions;
    set_consumer: ConsumerOptions;
    set_client: ClientOptions;
}

fn compare(case: &Json, row: &OptionRow, set: Set) -> Result<(), String> {
    let (client, kafkas) = (text(case, "client"), text(case, "type"));
    let kind = (row.kind)();
    if !fits(kafkas, &kind) {
        return Err(format!("is {kind}, in Kafka {kafkas}"));
    }
    same("secret", &row.secret, &flag(case, "password_type"))?;
    if row.secret {
        let (_, shown) = set(row.name, SECRET).map_err(|_| "refuses a password".to_owned())?;
        return if shown.contains(SECRET) { Err("is shown".to_owned()) } else { Ok(()) };
    }
    let default = (row.default)();
    let departure = DEPARTURES.iter().find(|(of, name, ..)| (*of, *name) == (client, row.name));
    let theirs = match case["default"].as_str() {
        // What has to be given has no default here, either.
        None | Some("<required>") => String::new(),
        Some(text) => text.replace("class ", ""),
    };
    // An option that has to be given refuses its own default.
    let at_default = default == theirs || set(row.name, &theirs).is_ok_and(|(at_default, _)| at_default);
    match departure {
        Some(_) if at_default => Err("is listed as a departure, and is none".to_owned()),
        Some((_, _, ours, _)) => same("default", &default.as_str(), ours),
        None if at_default => Ok(()),
        None => Err(format!("default `{default}`, in Kafka `{theirs}`")),
    }
}

const SECRET: &str = "hunter2hunter2";

/// Whether texts of the Kafka type are texts of ours. Ours tell times and choices apart from numbers and strings.
fn fits(kafkas: &str, ours: &str) -> bool {
    match kafkas {
        "BOOLEAN" => ours == "boolean",
        "INT" | "SHORT" | "LONG" => matches!(ours, "int" | "long" | "milliseconds"),
        "DOUBLE" => ours == "double",
        "LIST" => ours.starts_with("list of "),
        "STRING" => ours == "string" || ours.starts_with('`'),
        "PASSWORD" => ours == "string",
        // Where Java loads a class, names choose.
        "CLASS" => ours.starts_with('`'),
        _ => false,
    }
}
