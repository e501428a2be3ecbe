//! Loopback ports that stay a node's own for the life of its cluster, across its restarts.
//!
//! Guarantee: no two clusters of this user pick the same port, and no outgoing connection is given one while its node
//! is down. Hence ports below the kernel's ephemeral range, each claimed by a lock file that dies with its holder.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

use super::KafkaError;
use crate::repo;

const LOWEST: u16 = 12_000;
const ATTEMPTS: usize = 2_000;

/// A claimed port; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) number: u16,
    _claim: File,
}

/// Claims a port on which nothing listens.
pub(super) fn claim() -> Result<Port, KafkaError> {
    let locks = repo::locks().map_err(|source| KafkaError::io("make the folder for port locks", source))?;
    let end = ephemeral_start().max(LOWEST + 1_000);
    for _ in 0..ATTEMPTS {
        let number = LOWEST + (random() % u64::from(end - LOWEST)) as u16;
        let Ok(claim) = repo::lock_file(&locks.join(format!("port-{number}"))) else {
            continue;
        };
        if claim.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
            return Ok(Port { number, _claim: claim });
        }
    }
    Err(KafkaError::Invalid(format!(
        "no free loopback port between {LOWEST} and {end} in {ATTEMPTS} attempts"
    )))
}

/// A random number; `RandomState` is how the standard library gives out entropy.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn ephemeral_start() -> u16 {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(32_768)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claimed_ports_differ_and_are_below_the_ephemeral_range() {
        let ports: Vec<Port> = (0..50).map(|_| claim().unwrap()).collect();
        let numbers: std::collections::BTreeSet<u16> = ports.iter().map(|port| port.number).collect();
        assert_eq!(numbers.len(), 50);
        assert!(numbers.iter().all(|number| *number < ephemeral_start().max(LOWEST + 1_000)));
    }
}
