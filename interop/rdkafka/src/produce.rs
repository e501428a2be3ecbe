//! Idempotent producing with every codec; what is read is what was sent.

use crate::target::{Outcome, Record, Target, now_ms, same};

pub fn codecs(target: &Target) -> Outcome {
    let partitions = 3;
    let topic = target.create("codecs", partitions)?;
    let mut expected = std::collections::BTreeMap::<i32, Vec<Record>>::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let writer = target.writer(&[("enable.idempotence", "true"), ("compression.codec", codec)])?;
        for n in 0..300 {
            writer.send(&topic, record(n, partitions, codec))?;
        }
        for (partition, records) in writer.finish()? {
            expected.entry(partition).or_default().extend(records);
        }
    }
    let found = target.read(&topic, partitions, "read_committed")?;
    for partition in 0..partitions {
        let (found, expected) = (&found[&partition], &expected[&partition]);
        same("records in a partition", found.len(), expected.len())?;
        for (found, expected) in found.iter().zip(expected) {
            same("a record", found, expected)?;
        }
    }
    Ok(())
}

/// Records of all shapes: without and with key, value and headers, empty and large.
fn record(n: i32, partitions: i32, codec: &str) -> Record {
    let noise = |length: usize| -> Vec<u8> {
        let mut state = n as u32 + 1;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length).map(|_| next()).collect()
    };
    let value = match n % 5 {
        0 => None,
        1 => Some(Vec::new()),
        2 => Some(noise(1_000)),
        3 => Some(format!("{codec} {n} ").repeat(500).into_bytes()),
        _ => Some(format!("{codec} {n}").into_bytes()),
    };
    Record {
        partition: n % partitions,
        offset: 0,
        timestamp: now_ms(),
        key: (n % 2 == 0).then(|| format!("key {n}").into_bytes()),
        value,
        headers: (0..n % 4).map(|id| (format!("h{id}"), (id % 2 == 0).then(|| noise(id as usize)))).collect(),
    }
}
