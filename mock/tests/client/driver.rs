//! The drivers: ports that open and close with their broker, streams that end with the cluster.

use std::io::ErrorKind;

use ottla_mock::{ClusterOptions, HarmError, Mock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// ApiVersions version 0, as the oldest client would ask.
const API_VERSIONS: &[u8] = &[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];

#[tokio::test]
async fn a_port_is_closed_while_its_broker_is_down() {
    let mock = Mock::start(ClusterOptions::new().brokers(2)).unwrap();
    let addresses = mock.listen("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(addresses[1]).await.unwrap();
    stream.write_all(API_VERSIONS).await.unwrap();
    assert!(stream.read_u32().await.unwrap() > 6);
    mock.kill_broker(2).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    // The listener goes a moment after the broker did.
    let refused = loop {
        match TcpStream::connect(addresses[1]).await {
            Ok(stream) => drop(stream),
            Err(error) => break error.kind(),
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(refused, ErrorKind::ConnectionRefused);
    assert!(TcpStream::connect(addresses[0]).await.is_ok());
    mock.restart_broker(2).unwrap();
    loop {
        if let Ok(mut stream) = TcpStream::connect(addresses[1]).await {
            stream.write_all(API_VERSIONS).await.unwrap();
            assert!(stream.read_u32().await.unwrap() > 6);
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn pipes_end_with_the_cluster() {
    let mock = Mock::start(ClusterOptions::new()).unwrap();
    assert_eq!(mock.connect(7).unwrap_err(), HarmError::NoSuchBroker(7));
    assert_eq!(mock.dial("mock-1", 1).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let mut pipe = mock.dial("mock-1", 9092).unwrap();
    pipe.write_all(API_VERSIONS).await.unwrap();
    let length = pipe.read_u32().await.unwrap();
    pipe.read_exact(&mut vec![0; length as usize]).await.unwrap();
    assert_eq!(mock.cluster().open_connections(1), 1);
    drop(mock);
    assert_eq!(pipe.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_too_long_closes_its_stream_and_none_other() {
    let mock = Mock::start(ClusterOptions::new()).unwrap();
    let mut good = mock.connect(1).unwrap();
    let mut bad = mock.connect(1).unwrap();
    bad.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(bad.read(&mut [0; 1]).await.unwrap(), 0);
    good.write_all(API_VERSIONS).await.unwrap();
    assert!(good.read_u32().await.unwrap() > 6);
}
