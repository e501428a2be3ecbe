//! Logging in: the right password opens the cluster, a wrong one gives an authentication error.

use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::Producer;

use crate::target::{Outcome, PATIENCE, Record, Target, ensure, same};

pub fn plain(target: &Target) -> Outcome {
    login(target, "PLAIN")
}

pub fn scram_256(target: &Target) -> Outcome {
    login(target, "SCRAM-SHA-256")
}

pub fn scram_512(target: &Target) -> Outcome {
    login(target, "SCRAM-SHA-512")
}

fn login(target: &Target, mechanism: &str) -> Outcome {
    let (user, password) = target.user.as_ref().ok_or("logging in takes a user and a password")?;
    let settings = |password| {
        [
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanism", mechanism),
            ("sasl.username", user.as_str()),
            ("sasl.password", password),
        ]
    };
    let writer = target.writer(&settings(password))?;
    writer.send("logins", Record::text(0, mechanism))?;
    let offsets: Vec<usize> = writer.finish()?.values().map(Vec::len).collect();
    same("records delivered", offsets, vec![1])?;

    let stranger = target.writer(&settings("not this one"))?;
    let end = Instant::now() + PATIENCE;
    while !stranger.producer.context().saw(RDKafkaErrorCode::Authentication) {
        ensure(Instant::now() < end, || "a wrong password gave no authentication error".to_owned())?;
        stranger.producer.poll(Duration::from_millis(50));
    }
    Ok(())
}
