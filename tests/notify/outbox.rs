//! The outbox, with servers that hang and that come back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use qbackd::model::SystemClock;
use qbackd::notify::Outbox;

use super::{Bench, LONG, block_on, failed, succeeded};
use crate::support::sinks::Sink;

#[test]
fn a_message_arrives_when_the_server_is_back_and_one_that_hangs_delays_nobody() {
    let sink = Sink::http();
    let hook = |path: &str| format!("type = 'webhook'\nurl = '{}'", sink.url(path));
    let bench = Bench::new(&[("hung", &hook("hang")), ("flaky", &hook("flaky-2")), ("fine", &hook("fine"))]);
    let ticket = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let heard = || {
        let request = sink.next();
        let body: serde_json::Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
        (request["path"].as_str().unwrap().to_owned(), body["event"].as_str().unwrap().to_owned())
    };
    block_on(async {
        let outbox = Outbox::start(Arc::new(SystemClock), LONG);
        let begun = Instant::now();
        outbox.tell(&bench.get("hung"), &failed());
        outbox.tell(&bench.get("hung"), &succeeded());
        assert_eq!(heard(), ticket("/hang", "failed"));
        outbox.tell(&bench.get("fine"), &failed());
        assert_eq!(heard(), ticket("/fine", "failed"));
        outbox.tell(&bench.get("flaky"), &failed());
        outbox.tell(&bench.get("flaky"), &succeeded());
        for event in ["failed", "failed", "failed", "succeeded"] {
            assert_eq!(heard(), ticket("/flaky-2", event), "each is tried until it is taken, in their order");
        }
        // Whoever still waits is tried for as long as the end of the daemon may take, and no longer.
        let mut shown: BTreeMap<String, _> = BTreeMap::new();
        for state in outbox.state() {
            shown.insert(state.name.to_string(), state);
        }
        assert_eq!((shown["hung"].queued, shown["hung"].last_success), (2, None));
        assert!(shown["fine"].last_success.is_some() && shown["fine"].last_error.is_none());
        assert_eq!(outbox.close(Duration::from_millis(500)).await, 2);
        assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    });
}
