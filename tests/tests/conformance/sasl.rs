//! `sasl`: SCRAM exchanges replayed with the client's nonce, whole and with a fault, against both machines; first messages of
//! OAUTHBEARER and PLAIN both ways.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_protocol::sasl::oauthbearer::InitialResponse;
use ottla_protocol::sasl::plain::PlainMessage;
use ottla_protocol::sasl::scram::message::ServerFirst;
use ottla_protocol::sasl::scram::{ScramClient, ScramCredential, ScramMechanism, ScramServer};
use ottla_protocol::wire::Secret;
use ottla_tests::vectors::hex;
use serde_json::Value as Json;

use crate::case::{bytes, same, text};
use crate::runner::Outcome;

/// Faults that Java overlooks and this client does not: RFC 5802 demands the first, and the second is a server that adds
/// nothing of its own to the nonce.
const STRICTER: &[&str] = &["mandatory_extension", "server_nonce_empty"];

pub(crate) fn judge(case: &Json) -> Outcome {
    match text(case, "kind") {
        "scram" => match ScramMechanism::by_name(text(case, "mechanism")) {
            Some(mechanism) => scram(mechanism, case).into(),
            None => Outcome::NotYet(text(case, "mechanism").to_owned()),
        },
        "oauthbearer_initial" => oauthbearer(case).into(),
        "plain_initial" => plain(case).into(),
        kind => Outcome::NotYet(kind.to_owned()),
    }
}

fn scram(mechanism: ScramMechanism, case: &Json) -> Result<(), String> {
    let authenticates = text(case, "result") == "authenticated" && !STRICTER.contains(&text(case, "fault"));
    match (client(mechanism, case)?, authenticates) {
        (Ok(()), false) => return Err(format!("authenticated in spite of {}", text(case, "fault"))),
        (Err(reason), true) => return Err(format!("refused: {reason}")),
        _ => {}
    }
    if text(case, "fault") == "none" { server(mechanism, case) } else { Ok(()) }
}

/// The exchange on the client's side; the inner result is the machine's verdict.
fn client(mechanism: ScramMechanism, case: &Json) -> Result<Result<(), String>, String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let password = secret(text(case, "password"));
    let mut client =
        ScramClient::new(mechanism, text(case, "username"), password.clone(), text(case, "client_nonce"))
            .map_err(|error| failed(&error))?;
    let first = client.client_first().map_err(|error| failed(&error))?;
    same("client's first", &first, &wire(case, "client_first"))?;
    let challenge = wire(case, "server_first");
    let last = match client.handle_server_first(&challenge) {
        Ok(last) => last,
        // Where Java goes on, only what is stricter here may end it.
        Err(error) if case["client_final"].is_null() || STRICTER.contains(&text(case, "fault")) => {
            return Ok(Err(failed(&error)));
        }
        Err(error) => return Err(format!("server's first: {error}")),
    };
    if case["client_final"].is_null() {
        return Ok(Ok(()));
    }
    same("client's final", &last, &wire(case, "client_final"))?;
    let read = ServerFirst::decode(&challenge).map_err(|error| failed(&error))?;
    let salted = mechanism.salted_password(&password, &read.salt, read.iterations);
    let salted = salted.map_err(|error| failed(&error))?;
    same("salted password", &hex(&salted.0).as_str(), &text(case, "salted_password_hex"))?;
    let verdict = client.handle_server_final(&wire(case, "server_final"));
    same("authenticated", &client.is_authenticated(), &verdict.is_ok())?;
    Ok(verdict.map_err(|error| failed(&error)))
}

/// The same exchange on the server's side, from the credential that AlterUserScramCredentials would bring.
fn server(mechanism: ScramMechanism, case: &Json) -> Result<(), String> {
    let failed = |error: ottla_protocol::sasl::scram::ScramError| error.to_string();
    let challenge = ServerFirst::decode(&wire(case, "server_first")).map_err(failed)?;
    let nonce =
        challenge.nonce.strip_prefix(text(case, "client_nonce")).ok_or("the server's nonce is new")?;
    let salted = Secret(bytes(case, "salted_password_hex"));
    let credential =
        ScramCredential::of_salted_password(mechanism, &salted, challenge.salt, challenge.iterations)
            .map_err(failed)?;
    let mut server = ScramServer::new(mechanism, nonce).map_err(failed)?;
    let first = server.handle_client_first(&wire(case, "client_first")).map_err(failed)?;
    same("user", &first.username.as_str(), &text(case, "username"))?;
    same("server's first", &server.server_first(credential).map_err(failed)?, &wire(case, "server_first"))?;
    let last = server.handle_client_final(&wire(case, "client_final")).map_err(failed)?;
    same("server's final", &last, &wire(case, "server_final"))
}

fn oauthbearer(case: &Json) -> Result<(), String> {
    let sent = bytes(case, "hex");
    let read = InitialResponse::decode(&sent).map_err(|error| error.to_string())?;
    same("token", &(read.token == secret(text(case, "token"))), &true)?;
    same("authorization id", &read.authorization_id, &None)?;
    // Java's order is that of a hash table; it is kept, so that the bytes can be compared.
    let extensions: BTreeMap<&str, &str> =
        read.extensions.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let expected = case["extensions"].as_object().ok_or("no extensions")?;
    let expected = expected.iter().map(|(key, value)| (key.as_str(), value.as_str().unwrap())).collect();
    same("extensions", &extensions, &expected)?;
    same("extensions, each once", &read.extensions.len(), &expected.len())?;
    let made = read.encode().map_err(|error| error.to_string())?;
    same("bytes", &(made == Secret(sent)), &true)
}

fn plain(case: &Json) -> Result<(), String> {
    let message = PlainMessage::new(text(case, "username"), secret(text(case, "password")));
    let made = message.encode().map_err(|error| error.to_string())?;
    same("bytes", &hex(&made.0).as_str(), &text(case, "hex"))?;
    same("read", &PlainMessage::decode(&bytes(case, "hex")), &Ok(message))
}

fn wire(case: &Json, field: &str) -> Bytes {
    Bytes::copy_from_slice(text(case, field).as_bytes())
}

fn secret(text: &str) -> Secret {
    Secret(Bytes::copy_from_slice(text.as_bytes()))
}
