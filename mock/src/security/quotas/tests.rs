use super::*;

fn who(user: &str, client_id: &str) -> Caller {
    Caller { client_id: client_id.to_owned(), host: "/h".to_owned(), principal: format!("User:{user}") }
}

#[test]
fn who_is_faster_than_the_quota_waits_until_it_would_not_have_been() {
    let mut quotas = Quotas::default();
    quotas.add(Quota::of_client("slow").producer_byte_rate(100.0));
    let now = Instant::now();
    let mut produce = |now, who: &Caller, bytes| quotas.throttle(now, who, ApiKey::PRODUCE, bytes);
    assert_eq!(produce(now, &who("a", "slow"), 1000), Duration::ZERO);
    assert_eq!(produce(now, &who("a", "slow"), 250), Duration::from_millis(2500));
    assert_eq!(produce(now, &who("a", "fast"), 1_000_000), Duration::ZERO);
    let later = now + Duration::from_millis(2500);
    assert_eq!(produce(later, &who("a", "slow"), 0), Duration::ZERO);
}

#[test]
fn the_more_specific_quota_counts() {
    let mut quotas = Quotas::default();
    quotas.add(Quota::of_any_client().producer_byte_rate(1.0));
    quotas.add(Quota::of_client("c").producer_byte_rate(10.0));
    quotas.add(Quota::of_user("alice").producer_byte_rate(1000.0));
    let rate = |user, client| quotas.rate(&who(user, client), PRODUCER_BYTE_RATE).map(|(rate, ..)| rate);
    assert_eq!(rate("bob", "other"), Some(1.0));
    assert_eq!(rate("bob", "c"), Some(10.0));
    assert_eq!(rate("alice", "c"), Some(1000.0));
}
