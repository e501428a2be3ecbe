//! How questions for offsets treat the connection that they share with all others, under a paused clock.

use ottla_client::ClientOptions;
use ottla_client::test_support::{Answer, ScriptedDialer, metadata};
use ottla_protocol::messages::metadata::MetadataRequest;

use super::*;

#[tokio::test(start_paused = true)]
async fn whoever_has_no_more_time_leaves_the_connection_to_the_others() {
    let dialer = ScriptedDialer::new(|request| {
        if request.decode::<MetadataRequest>().is_some() {
            return request.reply::<MetadataRequest>(&metadata(&[1], &[("a", &[1])]));
        }
        match request.decode::<ListOffsetsRequest>() {
            Some(_) => request
                .reply::<ListOffsetsRequest>(&ListOffsetsResponse::default())
                .after(Duration::from_secs(1)),
            None => Answer::Default,
        }
    });
    let options = ClientOptions::new().bootstrap_servers("bootstrap:9092");
    let client = Client::with_dialer(options, Arc::new(dialer.clone())).unwrap();
    client.topic("a", now() + Duration::from_secs(5)).await.unwrap();
    let deadline = now() + Duration::from_millis(300);
    let general = client.connection(1, Purpose::General, deadline).await.unwrap();
    let dials = dialer.dials().len();

    let partition = TopicPartition::new("a", 0);
    let asked = HashMap::from([(partition.clone(), 0)]);
    let answers = query(&client, IsolationLevel::ReadUncommitted, asked, deadline).await;
    assert_eq!(answers[&partition].as_ref().unwrap_err().kind(), ErrorKind::Timeout);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((general.is_closed(), dialer.dials().len()), (false, dials));
}
