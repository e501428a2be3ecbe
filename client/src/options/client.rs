//! The options of a client: what connections, metadata and retries follow.
//!
//! Sources: KIP-144 and KIP-580 (backoffs), KIP-601 (connection setup), KIP-602 (all DNS answers), KIP-899 and
//! KIP-1102 (rebootstrap).

use std::fmt;
use std::time::Duration;

use super::value::{OptionArgument, OptionValue};
use crate::error::{Error, ErrorKind};

const MS: fn(u64) -> Duration = Duration::from_millis;

crate::options! {
    /// Options of a [`Client`](crate::Client), shared by all producers and consumers that use it.
    pub struct ClientOptions, ClientValues, rule rule {
        /// The brokers to ask first, as `host:port`; more than one keeps the client able to start when one is down.
        "bootstrap.servers" => bootstrap_servers: ServerList = ServerList::default(), check not_empty;
        /// A name for this client in the brokers' logs, quotas and metrics.
        "client.id" => client_id: String = "ottla".to_owned(), check fits_the_header;
        /// How many addresses of a name are tried: `use_all_dns_ips` tries each in turn.
        "client.dns.lookup" => client_dns_lookup: DnsLookup = DnsLookup::UseAllDnsIps;
        /// How long a broker may take to answer one request before its connection is given up.
        "request.timeout.ms" => request_timeout: Duration = MS(30_000), min MS(1);
        /// How long a whole operation may take, retries included, where nothing more specific says so.
        "default.api.timeout.ms" => default_api_timeout: Duration = MS(60_000), min MS(1);
        /// After how long metadata is refreshed though nothing seems to have changed.
        "metadata.max.age.ms" => metadata_max_age: Duration = MS(300_000), min MS(1);
        /// What to do when no known broker answers: `rebootstrap` starts from `bootstrap.servers` again.
        "metadata.recovery.strategy" => metadata_recovery: MetadataRecovery = MetadataRecovery::Rebootstrap;
        /// For how long metadata refreshes may fail before known brokers are forgotten and bootstrapping starts again.
        "metadata.recovery.rebootstrap.trigger.ms" => rebootstrap_trigger: Duration = MS(300_000);
        /// The first wait before connecting again to a broker; it doubles with each failure.
        "reconnect.backoff.ms" => reconnect_backoff: Duration = MS(50);
        /// The longest wait before connecting again to a broker.
        "reconnect.backoff.max.ms" => reconnect_backoff_max: Duration = MS(1_000);
        /// The first wait before trying a request again; it doubles with each failure.
        "retry.backoff.ms" => retry_backoff: Duration = MS(100);
        /// The longest wait before trying a request again.
        "retry.backoff.max.ms" => retry_backoff_max: Duration = MS(1_000);
        /// How long setting up a connection may take, up to and including ApiVersions; it doubles with each failure.
        "socket.connection.setup.timeout.ms" => connection_setup_timeout: Duration = MS(10_000), min MS(1);
        /// The longest that setting up a connection may take.
        "socket.connection.setup.timeout.max.ms" => connection_setup_timeout_max: Duration = MS(30_000), min MS(1);
        /// After how long without a request a connection is closed.
        "connections.max.idle.ms" => connections_max_idle: Duration = MS(540_000), min MS(1);
        /// The largest response that is accepted; one Fetch response may exceed `fetch.max.bytes` by a whole batch.
        "receive.message.max.bytes" => receive_message_max: usize = 128 << 20, min 1 << 16, max i32::MAX as usize;
    }
}

/// `metadata.recovery.strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataRecovery {
    /// Start from the bootstrap list again.
    Rebootstrap,
    /// Keep trying the brokers that were known last.
    None,
}
crate::option_names!(MetadataRecovery { Rebootstrap = "rebootstrap", None = "none" });

/// `client.dns.lookup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsLookup {
    /// Each address of a name is tried in turn.
    UseAllDnsIps,
}
crate::option_names!(DnsLookup { UseAllDnsIps = "use_all_dns_ips" });

/// A list of `host:port`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ServerList(Vec<(String, u16)>);

impl ServerList {
    /// The servers, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u16)> {
        self.0.iter().map(|(host, port)| (host.as_str(), *port))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for ServerList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render())
    }
}

impl OptionValue for ServerList {
    fn kind() -> String {
        "list of `host:port`".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(server).collect::<Result<_, _>>().map(ServerList)
    }

    fn render(&self) -> String {
        let one = |(host, port): (&str, u16)| match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        self.iter().map(one).collect::<Vec<_>>().join(",")
    }
}

/// A setter can't fail, so what is no `host:port` is kept with port 0, and `validate` refuses it.
impl OptionArgument<ServerList> for &str {
    fn into_option(self) -> ServerList {
        let items = self.split(',').map(str::trim).filter(|item| !item.is_empty());
        ServerList(items.map(|item| server(item).unwrap_or_else(|_| (item.to_owned(), 0))).collect())
    }
}

impl OptionArgument<ServerList> for String {
    fn into_option(self) -> ServerList {
        self.as_str().into_option()
    }
}

impl OptionArgument<ServerList> for &String {
    fn into_option(self) -> ServerList {
        self.as_str().into_option()
    }
}

/// Reads `host:port`, `[ipv6]:port`, each optionally behind Kafka's `LISTENER://`.
fn server(text: &str) -> Result<(String, u16), String> {
    let expected = || format!("a list of `host:port` (`{text}` is none)");
    let address = text.split_once("://").map_or(text, |(_, address)| address);
    let (host, port) = address.rsplit_once(':').ok_or_else(expected)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if bare.is_none() && host.contains([':', '[', ']']) {
        return Err(expected());
    }
    let host = bare.unwrap_or(host);
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(expected)?;
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(expected());
    }
    Ok((host.to_owned(), port))
}

fn not_empty(servers: &ServerList) -> Result<(), String> {
    if servers.is_empty() {
        return Err("no server is named; give at least one `host:port`".to_owned());
    }
    match servers.iter().find(|(_, port)| *port == 0) {
        Some((wrong, _)) => Err(format!("`{wrong}` is not `host:port`")),
        None => Ok(()),
    }
}

fn fits_the_header(client_id: &str) -> Result<(), String> {
    match client_id.len() {
        0..=32_767 => Ok(()),
        len => Err(format!("{len} bytes are more than the 32767 that a request's header holds")),
    }
}

fn rule(values: &ClientValues) -> Result<(), Error> {
    let pairs = [
        ("reconnect.backoff.ms", values.reconnect_backoff, values.reconnect_backoff_max),
        ("retry.backoff.ms", values.retry_backoff, values.retry_backoff_max),
        (
            "socket.connection.setup.timeout.ms",
            values.connection_setup_timeout,
            values.connection_setup_timeout_max,
        ),
    ];
    match pairs.into_iter().find(|(_, value, max)| value > max) {
        Some((name, value, max)) => Err(Error::new(
            ErrorKind::Config,
            format!("option `{name}`: {} is above its maximum of {}", value.render(), max.render()),
        )),
        None => Ok(()),
    }
}
