use std::sync::Arc;

use ottla_client::options::OptionValue;

use super::*;

fn partition(class: &PartitionerClass, key: Option<&[u8]>, count: u32) -> Route {
    route(class, false, key, NonZeroU32::new(count).expect("not zero"))
}

#[test]
fn keys_beat_stickiness_unless_they_are_to_be_ignored() {
    let six = NonZeroU32::new(6).expect("not zero");
    assert_eq!(route(&PartitionerClass::Default, false, Some(b""), six), Route::Fixed(3));
    assert_eq!(route(&PartitionerClass::Default, true, Some(b""), six), Route::Sticky);
    assert_eq!(route(&PartitionerClass::Default, false, None, six), Route::Sticky);
    assert_eq!(route(&PartitionerClass::Murmur2, true, Some(b""), six), Route::Fixed(3), "others don't care");
}

/// The table of librdkafka's test 0048, for 7 and 17 partitions: no key, an empty one, and three others.
#[test]
fn partitions_are_those_of_librdkafka() {
    let keys: [Option<&[u8]>; 5] = [
        None,
        Some(b""),
        Some(b"23456"),
        Some(b"this is another string with more length to it perhaps"),
        Some(b"hejsan"),
    ];
    let fixed = |hash: u32| Some(hash);
    let crc = [fixed(0), fixed(0), fixed(0xb1b4_51d7), fixed(0xb015_0df7), fixed(0xd077_037e)];
    let murmur =
        [fixed(0x106e_08d9), fixed(0x106e_08d9), fixed(0x058d_780f), fixed(0x4f77_03da), fixed(0x5ec1_9395)];
    let fnv =
        [fixed(0x7ee3_623b), fixed(0x7ee3_623b), fixed(0x27e6_f469), fixed(0x155e_3e5f), fixed(0x17b1_e27a)];
    let without = |mut expected: [Option<u32>; 5], keyless: usize| {
        expected[..keyless].fill(None);
        expected
    };
    let table = [
        ("consistent", crc),
        ("consistent_random", without(crc, 2)),
        ("murmur2", murmur),
        ("murmur2_random", without(murmur, 1)),
        ("fnv1a", fnv),
        ("fnv1a_random", without(fnv, 1)),
    ];
    for (name, expected) in table {
        let class = PartitionerClass::parse(name).expect(name);
        for count in [7, 17] {
            let routes = keys.map(|key| partition(&class, key, count));
            let expected = expected.map(|hash| hash.map_or(Route::Sticky, |hash| Route::Fixed(hash % count)));
            assert_eq!(routes, expected, "{name} of {count}");
        }
    }
    let random = keys.map(|key| partition(&PartitionerClass::Random, key, 7));
    assert_eq!(random[..2], [Route::Sticky, Route::Random]);
    assert_eq!(partition(&PartitionerClass::RoundRobin, Some(b"k"), 7), Route::Next);
}

#[test]
fn names_are_librdkafkas_and_javas() {
    let parsed = |text: &str| PartitionerClass::parse(text);
    assert_eq!(parsed("Murmur2_Random"), Ok(PartitionerClass::Murmur2Random));
    assert_eq!(parsed(""), Ok(PartitionerClass::Default));
    let java = "org.apache.kafka.clients.producer.RoundRobinPartitioner";
    assert_eq!(parsed(java), Ok(PartitionerClass::RoundRobin));
    let error = parsed("md5").expect_err("no such");
    assert!(error.starts_with("one of `default`, `consistent`"), "{error}");
}

#[test]
fn an_own_partitioner_equals_itself_only() {
    struct Zero;
    impl Partitioner for Zero {
        fn partition(&self, _: &Record<'_>, _: &Partitions) -> Choice {
            Choice::Partition(0)
        }
    }
    let own = PartitionerClass::Custom(Arc::new(Zero));
    assert_eq!(own, own.clone());
    assert_ne!(own, PartitionerClass::custom(Zero));
    assert_eq!(format!("{own:?}"), "custom");
}

#[test]
fn partitions_take_turns_among_those_with_a_leader() {
    let some = Partitions::new("t".into(), vec![Some(1), None, Some(2)]);
    assert_eq!((0..4).map(|place| some.nth(place)).collect::<Vec<_>>(), [0, 2, 0, 2]);
    assert_eq!((some.count(), some.leader(2), some.leader(1), some.leader(-1)), (3, Some(2), None, None));
    assert_eq!(some.available().collect::<Vec<_>>(), [0, 2]);
    let none = Partitions::new("t".into(), vec![None; 3]);
    assert_eq!((0..4).map(|place| none.nth(place)).collect::<Vec<_>>(), [0, 1, 2, 0]);
}
