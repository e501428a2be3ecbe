//! Building the clients: librdkafka takes a C compiler and make, franz-go takes Go.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::repo;
use crate::tools::find;

/// Somebody else's client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// librdkafka, by its Rust bindings.
    Rdkafka,
    /// The client in Go.
    FranzGo,
}

/// A client that was built.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) peer: Peer,
    pub(super) path: PathBuf,
    /// How the names of scenarios begin that it cannot play, and why.
    pub(super) lacks: Option<(&'static str, &'static str)>,
}

impl Peer {
    pub(super) const ALL: [Peer; 2] = [Peer::Rdkafka, Peer::FranzGo];

    /// The name of its folder.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Peer::Rdkafka => "rdkafka",
            Peer::FranzGo => "franz-go",
        }
    }

    /// Builds the client beside the workspace's own builds.
    pub(super) fn build(self) -> Result<Program, String> {
        let folder = repo::root().join("interop").join(self.name());
        let target = repo::target().join("interop");
        println!("    building {self}");
        match self {
            Peer::Rdkafka => {
                need("cc", "librdkafka is built by a C compiler", "gcc g++ make")?;
                need("make", "librdkafka is built by make", "gcc g++ make")?;
                let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
                cargo
                    .args(["build", "--quiet", "--locked", "--target-dir"])
                    .arg(&target)
                    .current_dir(&folder);
                let lacks = if has_openssl() {
                    cargo.args(["--features", "scram"]);
                    None
                } else {
                    let why = "librdkafka has SCRAM only with OpenSSL, and pkg-config finds none; apt-get install -y \
                               pkg-config libssl-dev";
                    Some(("sasl-scram", why))
                };
                succeed(&mut cargo)?;
                Ok(Program { peer: self, path: target.join("debug").join("interop-rdkafka"), lacks })
            }
            Peer::FranzGo => {
                need("go", "franz-go is written in Go", "golang-go (or see https://go.dev/dl)")?;
                let path = target.join("interop-franz-go");
                let mut go = Command::new("go");
                go.args(["build", "-trimpath", "-o"]).arg(&path).arg(".").current_dir(&folder);
                succeed(&mut go)?;
                let why = "franz-go 1.22 leaves without the name of its instance, which Kafka refuses";
                Ok(Program { peer: self, path, lacks: Some(("group-consumer-static", why)) })
            }
        }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Peer, String> {
        let found = Peer::ALL.into_iter().find(|peer| peer.name() == text);
        found.ok_or_else(|| format!("no client `{text}`; there are rdkafka and franz-go"))
    }
}

fn need(program: &str, why: &str, packages: &str) -> Result<(), String> {
    match find(program) {
        Some(_) => Ok(()),
        None => Err(format!("{why}, and `{program}` is not in PATH; run: apt-get install -y {packages}")),
    }
}

fn has_openssl() -> bool {
    let mut pkg_config = Command::new("pkg-config");
    pkg_config.args(["--exists", "openssl"]).stdout(Stdio::null()).stderr(Stdio::null());
    pkg_config.status().is_ok_and(|status| status.success())
}

fn succeed(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}
