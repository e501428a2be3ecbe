//! The target `sasl`: what a peer says while it authenticates.

use bytes::Bytes;
use ottla_protocol::sasl::oauthbearer::{InitialResponse, Refusal};
use ottla_protocol::sasl::plain::PlainMessage;
use ottla_protocol::sasl::scram::message::{ClientFinal, ClientFirst, ServerFinal, ServerFirst};
use ottla_protocol::sasl::scram::{
    MAX_ITERATIONS, MIN_ITERATIONS, ScramClient, ScramCredential, ScramError, ScramMechanism, ScramServer,
};
use ottla_protocol::wire::Secret;

use crate::memory;
use crate::source::Source;

/// So many iterations are hashed here; a client's limit is checked without doing them.
const AFFORDABLE: u32 = MIN_ITERATIONS + 100;

/// Takes the input for a kind of message, by its first byte, and the message.
///
/// What decodes is encoded, and decodes to the same; encoding that again gives the same bytes. Memory follows a message's
/// length. A server that doesn't know the password never authenticates itself, nor does a client that doesn't; machines that
/// failed stay failed; an exchange between the two sides succeeds.
pub fn sasl(data: &[u8]) {
    let mut source = Source::new(data);
    let kind = source.u8() % 10;
    let message = Bytes::copy_from_slice(source.rest());
    match kind {
        0 => comes_back(&message, PlainMessage::decode, |plain| plain.encode().map(|secret| secret.0)),
        1 => comes_back(&message, InitialResponse::decode, |initial| initial.encode().map(|secret| secret.0)),
        2 => comes_back(&message, |bytes| Refusal::decode(bytes), |refusal| Ok::<_, ()>(refusal.encode())),
        3 => comes_back(&message, |bytes| ClientFirst::decode(bytes), ClientFirst::encode),
        4 => comes_back(
            &message,
            |bytes| ServerFirst::decode(bytes),
            |first| {
                // None is refused later, by who would have to hash.
                if first.iterations == 0 { Err(ScramError::TooFewIterations(0)) } else { first.encode() }
            },
        ),
        5 => comes_back(&message, |bytes| ClientFinal::decode(bytes), ClientFinal::encode),
        6 => comes_back(&message, |bytes| ServerFinal::decode(bytes), ServerFinal::encode),
        7 => false_server(&message),
        8 => false_client(&message),
        _ => exchange(&mut source),
    }
}

fn comes_back<T: PartialEq + std::fmt::Debug, D, E: std::fmt::Debug>(
    message: &Bytes,
    decode: impl Fn(&Bytes) -> Result<T, D>,
    encode: impl Fn(&T) -> Result<Bytes, E>,
) where
    D: std::fmt::Debug,
{
    let bound = 64 * message.len() + 4096;
    let Ok(decoded) = memory::within(bound, "a SASL message", || decode(message)) else { return };
    let encoded = encode(&decoded).expect("what was decoded can be encoded");
    let again = decode(&encoded).expect("what was encoded can be decoded");
    assert_eq!(again, decoded);
    assert_eq!(encode(&again).expect("a second time"), encoded);
}

/// The client hears the input's lines: the nonce it draws, and the server's two messages.
fn false_server(input: &Bytes) {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let Ok(nonce) = str::from_utf8(line()) else { return };
    let (first, last) = (line(), line());
    let iterations = ServerFirst::decode(first).map(|first| first.iterations);
    if matches!(iterations, Ok(AFFORDABLE..=MAX_ITERATIONS)) {
        return;
    }
    let mechanism = ScramMechanism::ALL[nonce.len() % ScramMechanism::ALL.len()];
    // Long and random enough that no input holds a signature made with it.
    let password = Secret(Bytes::from_static(b"d41b2e7f-9a35-4c0e-8f6b-51c7a2e09d84"));
    let Ok(mut client) = ScramClient::new(mechanism, "user", password, nonce) else { return };
    let ours = client.client_first().expect("name and nonce were checked");
    assert_eq!(ClientFirst::decode(&ours).map(|first| first.nonce).as_deref(), Ok(nonce));
    match client.handle_server_first(first) {
        Ok(answer) => {
            let answer = ClientFinal::decode(&answer).expect("the client's own message");
            assert!(answer.nonce.len() > nonce.len() && answer.nonce.starts_with(nonce), "{answer:?}");
            assert!(client.handle_server_final(last).is_err(), "authenticated by whom?");
        }
        Err(_) => assert_eq!(client.handle_server_final(last), Err(ScramError::OutOfOrder)),
    }
    assert!(!client.is_authenticated());
    assert_eq!(client.handle_server_first(first), Err(ScramError::OutOfOrder));
}

/// The server hears the input's lines: a client's two messages.
fn false_client(input: &Bytes) {
    let (first, last) = halves(input);
    let mechanism = ScramMechanism::ALL[first.len() % ScramMechanism::ALL.len()];
    let mut server = ScramServer::new(mechanism, "3rfcNHYJY1ZVvWVs7j").expect("a nonce");
    if server.handle_client_first(first).is_err() {
        assert!(server.server_first(credential(mechanism)).is_err(), "it goes on after an error");
        return;
    }
    server.server_first(credential(mechanism)).expect("it is due");
    assert!(server.handle_client_final(last).is_err(), "authenticated without a password");
    assert!(!server.is_authenticated());
}

fn halves(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    (&input[..end], input.get(end + 1..).unwrap_or_default())
}

/// What nobody knows the password of: keys that aren't made from one.
fn credential(mechanism: ScramMechanism) -> ScramCredential {
    let keys = |byte| Secret(vec![byte; mechanism.hash_len()].into());
    ScramCredential {
        mechanism,
        salt: Bytes::from_static(b"salt and pepper"),
        iterations: MIN_ITERATIONS,
        stored_key: keys(0x35),
        server_key: keys(0x53),
    }
}

/// Two sides that know the same password agree, whatever name, password and nonces are, and two that don't never do.
fn exchange(source: &mut Source<'_>) {
    let mechanism = ScramMechanism::ALL[source.below(ScramMechanism::ALL.len())];
    let wrong = source.u8() & 1 == 1;
    let mut text = |len: usize| {
        let len = source.below(len);
        String::from_utf8_lossy(source.slice(len)).into_owned()
    };
    let (name, password, nonce, server_nonce) = (text(20), text(20), text(20), text(20));
    let secret = Secret(password.clone().into());
    let Ok(mut client) = ScramClient::new(mechanism, &name, secret, &nonce) else { return };
    let Ok(mut server) = ScramServer::new(mechanism, &server_nonce) else { return };
    let known = if wrong { password + "x" } else { password };
    let known = Secret(known.into());
    let salt = Bytes::copy_from_slice(name.as_bytes());
    let Ok(credential) = ScramCredential::of_password(mechanism, &known, salt, MIN_ITERATIONS) else {
        return;
    };
    let first = client.client_first().expect("name and nonce were checked");
    let heard = server.handle_client_first(&first).expect("a client's message");
    assert_eq!((&heard.username, &heard.nonce), (&name, &nonce));
    let challenge = server.server_first(credential).expect("it is due");
    let proof = client.handle_server_first(&challenge).expect("a server's message");
    match server.handle_client_final(&proof) {
        Ok(signature) => {
            assert!(!wrong, "another password");
            assert_eq!(client.handle_server_final(&signature), Ok(()));
        }
        Err(error) => assert_eq!((wrong, error), (true, ScramError::WrongProof)),
    }
    assert_eq!((client.is_authenticated(), server.is_authenticated()), (!wrong, !wrong));
}
