//! Two requests written by hand, so that a cluster can be watched without the client under test.
//!
//! ApiVersions v0 shows that a listener answers, Metadata v1 lists the brokers that are not fenced (KIP-631). Both
//! versions are understood by every broker this tool starts.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const API_VERSIONS: i16 = 18;
const METADATA: i16 = 3;
const LARGEST_REPLY: usize = 1 << 20;

/// The ids of the brokers that `address` knows to be alive and unfenced, in order.
pub(super) fn unfenced_brokers(address: SocketAddr, timeout: Duration) -> io::Result<Vec<i32>> {
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let versions = exchange(&mut stream, API_VERSIONS, 0, &[])?;
    match versions.get(..2) {
        Some([0, 0]) => {}
        other => {
            return Err(invalid(format!("ApiVersions answered with error code bytes {other:?}")));
        }
    }
    // An empty array of topics asks for brokers alone.
    let metadata = exchange(&mut stream, METADATA, 1, &0_i32.to_be_bytes())?;
    brokers(&metadata).ok_or_else(|| invalid("the Metadata reply ends early".to_owned()))
}

fn exchange(stream: &mut TcpStream, api: i16, version: i16, body: &[u8]) -> io::Result<Vec<u8>> {
    const CORRELATION: i32 = 7;
    let mut request = Vec::with_capacity(14 + body.len());
    request.extend((10 + body.len() as i32).to_be_bytes());
    request.extend(api.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(CORRELATION.to_be_bytes());
    request.extend((-1_i16).to_be_bytes()); // no client id
    request.extend(body);
    stream.write_all(&request)?;

    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    let [a, b, c, d, correlation @ ..] = head;
    let length = i32::from_be_bytes([a, b, c, d]);
    let length = usize::try_from(length).ok().and_then(|length| length.checked_sub(4));
    let Some(length) = length.filter(|length| *length <= LARGEST_REPLY) else {
        return Err(invalid(format!("a reply of {} bytes", i32::from_be_bytes([a, b, c, d]))));
    };
    if i32::from_be_bytes(correlation) != CORRELATION {
        return Err(invalid("a reply with a foreign correlation id".to_owned()));
    }
    let mut reply = vec![0; length];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}

fn brokers(mut reply: &[u8]) -> Option<Vec<i32>> {
    let count = i32::from_be_bytes(take(&mut reply)?);
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(i32::from_be_bytes(take(&mut reply)?));
        skip_string(&mut reply)?; // host
        take::<4>(&mut reply)?; // port
        skip_string(&mut reply)?; // rack
    }
    ids.sort_unstable();
    Some(ids)
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*head)
}

fn skip_string(from: &mut &[u8]) -> Option<()> {
    let length = i16::from_be_bytes(take(from)?);
    *from = from.get(usize::try_from(length).unwrap_or(0)..)?;
    Some(())
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_read_with_and_without_a_rack() {
        let mut reply = vec![0, 0, 0, 2];
        reply.extend([0, 0, 0, 3, 0, 1, b'h', 0, 0, 0, 9, 0xff, 0xff]);
        reply.extend([0, 0, 0, 1, 0, 1, b'h', 0, 0, 0, 9, 0, 1, b'r']);
        assert_eq!(brokers(&reply), Some(vec![1, 3]));
        assert_eq!(brokers(&reply[..reply.len() - 1]), None);
        assert_eq!(brokers(&[]), None);
    }
}
