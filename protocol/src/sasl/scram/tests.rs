use bytes::Bytes;
use proptest::prelude::*;

use super::message::{ClientFinal, ClientFirst, MAX_EXTENSIONS, ServerFinal, ServerFirst};
use super::*;
use crate::wire::Secret;

/// The exchange in section 3 of RFC 7677.
const CLIENT_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const SALT: &[u8] = b"\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81";
const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn secret(text: &str) -> Secret {
    Secret(Bytes::copy_from_slice(text.as_bytes()))
}

fn client() -> ScramClient {
    ScramClient::new(ScramMechanism::Sha256, "user", secret("pencil"), CLIENT_NONCE).unwrap()
}

fn credential(mechanism: ScramMechanism, password: &str) -> ScramCredential {
    ScramCredential::of_password(mechanism, &secret(password), Bytes::from_static(SALT), 4096).unwrap()
}

/// A client that has sent its first message.
fn waiting() -> ScramClient {
    let mut client = client();
    client.client_first().unwrap();
    client
}

/// A server that has asked for a proof.
fn challenging() -> ScramServer {
    let mut server = ScramServer::new(ScramMechanism::Sha256, SERVER_NONCE).unwrap();
    server.handle_client_first(CLIENT_FIRST.as_bytes()).unwrap();
    server.server_first(credential(ScramMechanism::Sha256, "pencil")).unwrap();
    server
}

#[test]
fn the_exchange_of_the_rfc_is_made_byte_by_byte_on_both_sides() {
    let mut client = client();
    let mut server = ScramServer::new(ScramMechanism::Sha256, SERVER_NONCE).unwrap();
    let first = client.client_first().unwrap();
    assert_eq!(first, CLIENT_FIRST);
    assert_eq!(server.handle_client_first(&first).unwrap().username, "user");
    let challenge = server.server_first(credential(ScramMechanism::Sha256, "pencil")).unwrap();
    assert_eq!(challenge, SERVER_FIRST);
    let proof = client.handle_server_first(&challenge).unwrap();
    assert_eq!(proof, CLIENT_FINAL);
    assert!(!client.is_authenticated() && !server.is_authenticated());
    let signature = server.handle_client_final(&proof).unwrap();
    assert_eq!(signature, SERVER_FINAL);
    assert_eq!(client.handle_server_final(&signature), Ok(()));
    assert!(client.is_authenticated() && server.is_authenticated());
}

#[test]
fn tokens_say_that_they_are_tokens_and_names_are_escaped() {
    let mut client =
        ScramClient::with_token(ScramMechanism::Sha512, "a,b=c", secret("aG1hYw=="), "n1").unwrap();
    let mut server = ScramServer::new(ScramMechanism::Sha512, "n2").unwrap();
    let first = client.client_first().unwrap();
    assert_eq!(first, "n,,n=a=2Cb=3Dc,r=n1,tokenauth=true");
    let read = server.handle_client_first(&first).unwrap();
    assert_eq!(read.username, "a,b=c");
    assert_eq!(read.extensions, [(TOKEN_AUTH.to_owned(), "true".to_owned())]);
    let challenge = server.server_first(credential(ScramMechanism::Sha512, "aG1hYw==")).unwrap();
    let proof = client.handle_server_first(&challenge).unwrap();
    assert_eq!(client.handle_server_final(&server.handle_client_final(&proof).unwrap()), Ok(()));
}

#[test]
fn another_password_is_found_out_by_either_side() {
    let mut server = ScramServer::new(ScramMechanism::Sha256, SERVER_NONCE).unwrap();
    server.handle_client_first(CLIENT_FIRST.as_bytes()).unwrap();
    server.server_first(credential(ScramMechanism::Sha256, "pen")).unwrap();
    let refused = server.handle_client_final(CLIENT_FINAL.as_bytes()).unwrap_err();
    assert_eq!((&refused, refused.to_server_error()), (&ScramError::WrongProof, ServerError::InvalidProof));

    let mut client = waiting();
    client.handle_server_first(SERVER_FIRST.as_bytes()).unwrap();
    assert_eq!(client.handle_server_final(b"v=AAAA"), Err(ScramError::WrongSignature));
    assert!(!client.is_authenticated());
}

#[test]
fn a_first_message_of_the_server_that_is_wrong_is_refused() {
    use ScramError::*;
    let malformed = |field| Malformed { message: "server's first message", field };
    let (nonce, salt, number) = (
        malformed("a nonce `r` of printable ASCII"),
        malformed("a salt `s`, Base64"),
        malformed("a positive number of iterations `i`"),
    );
    let (r, s) = ("r=rOprNGfwEbeRWgbNEkqOx", "s=W22ZaJ0SNY7soEsUEjb6gQ==");
    for (message, error) in [
        (String::new(), nonce.clone()),
        ("HTTP/1.1 400 Bad Request".into(), nonce.clone()),
        (format!("{s},{r},i=4096"), nonce.clone()),
        (format!("r=,{s},i=4096"), nonce.clone()),
        (format!("r=rOprNGfwEbeRWgbNEkqO\u{e9},{s},i=4096"), nonce),
        (format!("{r},i=4096"), salt.clone()),
        (format!("{r},s=%%%%,i=4096"), salt.clone()),
        (format!("{r},s=W22,i=4096"), salt),
        (format!("{r},{s}"), number.clone()),
        (format!("{r},{s},i=abc"), number.clone()),
        (format!("{r},{s},i=-4096"), number.clone()),
        (format!("{r},{s},i=+4096"), number.clone()),
        (format!("{r},{s},i=04096"), number.clone()),
        (format!("{r},{s},i=0"), number.clone()),
        (format!("{r},{s},i=99999999999999"), number),
        (format!("{r},{s},i=4095"), TooFewIterations(4095)),
        (format!("{r},{s},i=131073"), TooManyIterations(131_073)),
        (format!("{r},{s},i=4294967295"), TooManyIterations(u32::MAX)),
        (format!("m=ext,{r},{s},i=4096"), MandatoryExtension),
        (format!("{r},{s},i=4096,m=ext"), MandatoryExtension),
        (format!("{r},{s},i=4096,"), malformed("only extensions where it goes on")),
        (format!("r=rOprNGfwEbeRWgbNEkqO,{s},i=4096"), NonceNotContinued),
        (format!("r=xrOprNGfwEbeRWgbNEkqO,{s},i=4096"), NonceNotContinued),
        (format!("r=rOprNGfwEbeRWgbNEkq,{s},i=4096"), NonceNotContinued),
        (format!("{r},{s},i=4096{}", ",x=1".repeat(MAX_EXTENSIONS + 1)), Extension),
    ] {
        let mut client = waiting();
        assert_eq!(client.handle_server_first(message.as_bytes()), Err(error), "{message}");
        assert_eq!(client.handle_server_first(SERVER_FIRST.as_bytes()), Err(OutOfOrder), "{message}");
    }
    let no_text = waiting().handle_server_first(b"\xff");
    assert_eq!(no_text, Err(malformed("UTF-8 throughout")));
    let extended = format!("{r},{s},i=4096{}", ",x=1".repeat(MAX_EXTENSIONS));
    assert!(waiting().handle_server_first(extended.as_bytes()).is_ok());
}

#[test]
fn extensions_of_the_server_are_no_part_of_what_is_signed() {
    let extended = format!("{SERVER_FIRST},x=hello");
    let mut client = waiting();
    assert_eq!(client.handle_server_first(extended.as_bytes()).unwrap(), CLIENT_FINAL);
    assert_eq!(client.handle_server_final(SERVER_FINAL.as_bytes()), Ok(()));
}

#[test]
fn a_last_message_of_the_server_that_is_wrong_is_refused() {
    use ScramError::*;
    let malformed = |field| Malformed { message: "server's final message", field };
    let signature = malformed("a signature `v`, Base64, or an error `e`");
    let reflected = format!("v={}", CLIENT_FINAL.rsplit_once(",p=").unwrap().1);
    for (message, error) in [
        ("", signature.clone()),
        ("ok", signature.clone()),
        ("v=%", signature),
        ("v=", WrongSignature),
        ("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95A==", WrongSignature),
        ("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", WrongSignature),
        (&reflected, WrongSignature),
        ("e=invalid-proof", Refused(ServerError::InvalidProof)),
        ("e=sorry", Refused(ServerError::Unknown("sorry".into()))),
        ("e=", malformed("an error `e`")),
    ] {
        let mut client = waiting();
        client.handle_server_first(SERVER_FIRST.as_bytes()).unwrap();
        assert_eq!(client.handle_server_final(message.as_bytes()), Err(error), "{message}");
        assert_eq!(client.handle_server_final(SERVER_FINAL.as_bytes()), Err(OutOfOrder), "{message}");
        assert!(!client.is_authenticated());
    }
    let mut client = waiting();
    client.handle_server_first(SERVER_FIRST.as_bytes()).unwrap();
    assert_eq!(client.handle_server_final(format!("{SERVER_FINAL},x=y").as_bytes()), Ok(()));
}

#[test]
fn what_a_client_should_not_send_is_refused_by_the_server() {
    use ScramError::*;
    let malformed = |field| Malformed { message: "client's first message", field };
    for (message, error) in [
        ("", malformed("the header `n,,`")),
        ("n=user,r=x", malformed("the header `n,,`")),
        ("n,x,n=user,r=x", malformed("an authorization id `a`")),
        ("n,,r=x", malformed("a user's name `n`")),
        ("n,,n=us=er,r=x", malformed("a user's name `n`")),
        ("n,,n=user", malformed("a nonce `r` of printable ASCII")),
        ("n,,n=user,r=x,1=2", malformed("only extensions where it goes on")),
        ("y,,n=user,r=x", ChannelBinding),
        ("p=tls-unique,,n=user,r=x", ChannelBinding),
        ("n,,m=x,n=user,r=x", MandatoryExtension),
        ("n,a=other,n=user,r=x", AuthorizationId),
    ] {
        let mut server = ScramServer::new(ScramMechanism::Sha256, SERVER_NONCE).unwrap();
        assert_eq!(server.handle_client_first(message.as_bytes()), Err(error), "{message}");
        assert_eq!(server.handle_client_first(CLIENT_FIRST.as_bytes()), Err(OutOfOrder), "{message}");
    }
    let proof = CLIENT_FINAL.rsplit_once(",p=").unwrap().1;
    let nonce = format!("{CLIENT_NONCE}{SERVER_NONCE}");
    let malformed = |field| Malformed { message: "client's final message", field };
    for (message, error) in [
        (format!("c=biws,r={nonce}"), malformed("a proof `p`, Base64, at its end")),
        (format!("c=biws,r={nonce},p=%"), malformed("a proof `p`, Base64, at its end")),
        (format!("c=biws,r={nonce},p={proof},x=1"), malformed("a proof `p`, Base64, at its end")),
        (format!("r={nonce},p={proof}"), malformed("channel binding `c`, Base64")),
        (format!("c=biws,r={nonce}x,p={proof}"), NonceDiffers),
        (format!("c=eSws,r={nonce},p={proof}"), ChannelBinding),
        (format!("c=biws,r={nonce},p="), WrongProof),
        (format!("c=biws,r={nonce},p={}", &proof[4..]), WrongProof),
        (format!("c=biws,r={nonce},x=1,p={proof}"), WrongProof),
    ] {
        let mut server = challenging();
        assert_eq!(server.handle_client_final(message.as_bytes()), Err(error), "{message}");
        assert_eq!(server.handle_client_final(CLIENT_FINAL.as_bytes()), Err(OutOfOrder), "{message}");
        assert!(!server.is_authenticated());
    }
}

#[test]
fn a_user_may_name_itself_as_the_one_to_act_as() {
    let mut server = ScramServer::new(ScramMechanism::Sha256, "s").unwrap();
    let read = server.handle_client_first(b"n,a=user,n=user,r=x").unwrap();
    assert_eq!(read.authorization_id.as_deref(), Some("user"));
}

#[test]
fn messages_out_of_turn_are_refused() {
    let mut late = client();
    late.client_first().unwrap();
    assert_eq!(late.client_first(), Err(ScramError::OutOfOrder));
    assert_eq!(client().handle_server_first(SERVER_FIRST.as_bytes()), Err(ScramError::OutOfOrder));
    assert_eq!(waiting().handle_server_final(SERVER_FINAL.as_bytes()), Err(ScramError::OutOfOrder));
    let mut server = ScramServer::new(ScramMechanism::Sha256, SERVER_NONCE).unwrap();
    assert_eq!(server.handle_client_final(CLIENT_FINAL.as_bytes()), Err(ScramError::OutOfOrder));
}

#[test]
fn what_no_message_can_hold_is_refused_before_anything_is_sent() {
    let made =
        |name: &str, nonce: &str| ScramClient::new(ScramMechanism::Sha256, name, secret("p"), nonce).err();
    assert_eq!(made("", "n"), Some(ScramError::Username));
    assert_eq!(made("a\0", "n"), Some(ScramError::Username));
    for nonce in ["", "a,b", "a b", "é", "a\n"] {
        assert_eq!(made("a", nonce), Some(ScramError::Nonce), "{nonce:?}");
    }
    assert_eq!(made("a", "!~"), None);
    let error = ServerFinal::Error(ServerError::Unknown("a,b".into()));
    assert_eq!(error.encode(), Err(ScramError::Extension));
}

#[test]
fn credentials_need_iterations_within_bounds_and_a_hash_of_their_mechanism() {
    let of = |iterations| {
        ScramCredential::of_password(ScramMechanism::Sha256, &secret("p"), Bytes::new(), iterations).err()
    };
    assert_eq!((of(4_095), of(4_096)), (Some(ScramError::TooFewIterations(4_095)), None));
    assert_eq!(of(131_073), Some(ScramError::TooManyIterations(131_073)));
    let short = Secret(Bytes::from_static(&[0; 32]));
    let other = ScramCredential::of_salted_password(ScramMechanism::Sha512, &short, Bytes::new(), 4_096);
    assert_eq!(other, Err(ScramError::OtherMechanism));
    let mut server = ScramServer::new(ScramMechanism::Sha512, SERVER_NONCE).unwrap();
    server.handle_client_first(CLIENT_FIRST.as_bytes()).unwrap();
    let other = server.server_first(credential(ScramMechanism::Sha256, "pencil"));
    assert_eq!(other, Err(ScramError::OtherMechanism));
}

#[test]
fn mechanisms_have_kafkas_names_and_numbers() {
    for (mechanism, name, code) in
        [(ScramMechanism::Sha256, "SCRAM-SHA-256", 1), (ScramMechanism::Sha512, "SCRAM-SHA-512", 2)]
    {
        assert_eq!((mechanism.name(), mechanism.code()), (name, code));
        assert_eq!(ScramMechanism::by_name(name), Some(mechanism));
        assert_eq!(ScramMechanism::by_code(code), Some(mechanism));
    }
    assert_eq!((ScramMechanism::by_name("PLAIN"), ScramMechanism::by_code(0)), (None, None));
}

#[test]
fn nothing_secret_is_shown() {
    let mut client = waiting();
    let server = challenging();
    let mut shown = format!("{client:?} {server:?} {:?}", credential(ScramMechanism::Sha256, "pencil"));
    client.handle_server_first(SERVER_FIRST.as_bytes()).unwrap();
    shown += &format!("{client:?} {:?}", ClientFinal::decode(CLIENT_FINAL.as_bytes()).unwrap());
    shown += &format!("{:?}", ServerFinal::decode(SERVER_FINAL.as_bytes()).unwrap());
    shown += &client.handle_server_final(b"v=AAAA").unwrap_err().to_string();
    for secret in ["pencil", "dHzb", "6rri", "tx\\xdb"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[test]
fn an_error_of_the_server_fits_a_line_of_a_log() {
    let error = ServerFinal::decode(format!("e=a\n{}", "x".repeat(5_000)).as_bytes()).unwrap();
    let ServerFinal::Error(error) = error else { panic!("{error:?}") };
    assert_eq!(error.to_string(), format!("a\\n{}", "x".repeat(198)));
}

/// Texts that are nearly messages.
fn nearly_messages() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "n,,",
            "n,a=",
            "n=",
            "r=",
            "s=",
            "i=",
            "c=",
            "p=",
            "v=",
            "e=",
            "m=",
            ",",
            "=",
            "=2C",
            "=3D",
            "biws",
            "AAAA",
            "4096",
            CLIENT_NONCE,
            "x=1",
            "\0",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,4}",
    ];
    prop_oneof![
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..64),
    ]
}

proptest! {
    #[test]
    fn what_is_read_is_written_again_as_it_came_or_refused(bytes in nearly_messages()) {
        if let Ok(message) = ClientFirst::decode(&bytes) {
            prop_assert_eq!(message.encode(), Ok(bytes.clone().into()));
        }
        if let Ok(message) = ServerFirst::decode(&bytes) {
            prop_assert_eq!(message.encode(), Ok(bytes.clone().into()));
        }
        if let Ok(message) = ClientFinal::decode(&bytes) {
            prop_assert_eq!(message.encode(), Ok(bytes.clone().into()));
        }
        if let Ok(ServerFinal::Error(error)) = ServerFinal::decode(&bytes) {
            let text = format!("e={}", error.text());
            prop_assert!(bytes.starts_with(text.as_bytes()));
        }
    }
}
