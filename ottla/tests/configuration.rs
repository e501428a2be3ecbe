//! CONFIGURATION.md is printed from the option tables; this fails when it is stale.
//! `OTTLA_BLESS=1 cargo test -p ottla --test configuration` prints it anew.

use std::path::Path;

use ottla::options::markdown;
use ottla::{ClientOptions, ConsumerOptions, ProducerOptions};

fn page() -> String {
    format!(
        "# Configuration\n\n\
         Every option has a typed setter (`linger(Duration)`) and is also known by Kafka's name (`set(\"linger.ms\", \"5\")`, \
         `from_pairs`). An unknown name is an error that says which name is near. Times without a unit are \
         milliseconds, sizes are bytes. This page is printed from the tables in the source.\n\n\
         ## Client\n\nShared by all producers and consumers of one `Kafka` handle.\n\n{}\n\
         ## Producer\n\n{}\n\
         ## Consumer\n\n{}",
        markdown(ClientOptions::ROWS),
        markdown(ProducerOptions::ROWS),
        markdown(ConsumerOptions::ROWS),
    )
}

#[test]
fn the_page_of_options_is_the_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../CONFIGURATION.md");
    if std::env::var_os("OTTLA_BLESS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page(),
        "CONFIGURATION.md is stale: run OTTLA_BLESS=1 cargo test -p ottla --test configuration"
    );
}
