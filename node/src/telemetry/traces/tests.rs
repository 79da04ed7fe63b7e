#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::span::span;
use super::*;
use alloy_primitives::b256;
use opentelemetry::trace::{SpanId, SpanKind, Status};
use std::time::Duration;

const HASH: TxHash = b256!("0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn every_node_finds_the_same_trace_from_the_hash() {
    let root = span(&HASH, &Event::Received, at(1), at(2));
    assert_eq!(root.span_context.trace_id().to_string(), "000102030405060708090a0b0c0d0e0f");
    assert_eq!(root.span_context.span_id().to_string(), "1011121314151617");
    assert_eq!((root.parent_span_id, root.span_kind.clone()), (SpanId::INVALID, SpanKind::Server));
    assert_eq!((root.start_time, root.end_time), (at(1), at(2)));

    let (first, second) = (span(&HASH, &Event::Added, at(3), at(3)), span(&HASH, &Event::Added, at(3), at(3)));
    for child in [&first, &second] {
        assert_eq!(child.span_context.trace_id(), root.span_context.trace_id());
        assert_eq!(child.parent_span_id, root.span_context.span_id());
        assert!(child.span_context.is_valid() && child.span_context.is_sampled());
    }
    assert_ne!(first.span_context.span_id(), second.span_context.span_id(), "each is one of its own");
}

#[test]
fn a_span_says_what_happened_to_the_transaction() {
    let block = BlockFacts { number: 7, hash: HASH };
    let round = heddle_primitives::Round::new(2);
    let attributes = |event: &Event<'_>| {
        let span = span(&HASH, event, at(1), at(1));
        let text = |key: &str| {
            let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
            found.map(|attribute| attribute.value.to_string())
        };
        assert_eq!(text("heddle.transaction"), Some(HASH.to_string()));
        (span.name.to_string(), text("heddle.block.number"), text("heddle.block.round"), span.status.clone())
    };
    let seven = Some("7".to_owned());
    let executed = attributes(&Event::Executed { block, invalid: Some("the state root is wrong") });
    assert_eq!(executed, ("block.execute".into(), seven.clone(), None, Status::error("the state root is wrong")));
    let committed = attributes(&Event::Committed { block, round, succeeded: true });
    assert_eq!(committed, ("block.commit".into(), seven.clone(), Some("2".into()), Status::Ok));
    let (.., failed) = attributes(&Event::Committed { block, round, succeeded: false });
    assert!(matches!(failed, Status::Error { .. }), "{failed:?}");
}

#[test]
fn a_ratio_takes_its_part_by_the_last_bytes() {
    let hash = |last: u64| {
        let mut hash = TxHash::repeat_byte(0xff);
        hash.0[24..].copy_from_slice(&last.to_be_bytes());
        hash
    };
    let takes = |ratio: &str, last| ratio.parse::<Sampling>().unwrap().takes(&hash(last));
    assert!(!takes("0", 0) && takes("1", u64::MAX));
    assert!(takes("0.5", u64::MAX / 2) && !takes("0.5", u64::MAX / 2 + 1));
    for bad in ["-0.1", "1.1", "NaN", "inf", "half", ""] {
        assert!(bad.parse::<Sampling>().unwrap_err().contains("from 0 to 1"), "{bad}");
    }
}

#[test]
fn an_endpoint_has_a_path_and_speaks_plain_http() {
    assert_eq!(parse_endpoint("http://127.0.0.1:4318").unwrap(), "http://127.0.0.1:4318/v1/traces");
    assert_eq!(parse_endpoint("http://[::1]:4318/").unwrap(), "http://[::1]:4318/v1/traces");
    assert_eq!(parse_endpoint("http://tempo:80/otlp/v1/traces").unwrap(), "http://tempo:80/otlp/v1/traces");
    for bad in ["", "127.0.0.1:4318", "localhost", "/v1/traces", "ftp://127.0.0.1", "http://"] {
        let error = parse_endpoint(bad).unwrap_err();
        assert!(error.contains("http://127.0.0.1:4318"), "{bad}: {error}");
    }
    for secret in ["http://user:secret@127.0.0.1:4318", "http://user:se/cret@127.0.0.1:4318/v1/traces"] {
        let error = parse_endpoint(secret).unwrap_err();
        assert!(error.contains("no password") && !error.contains("cret"), "{error}");
    }
    assert!(parse_endpoint("https://collector.example").unwrap_err().contains("collector beside the node"));
}

#[test]
fn without_a_start_nothing_is_asked_of_the_stages() {
    let traces = TransactionTraces::default();
    traces.begin().end([&HASH], |_| unreachable!("nobody listens"));
    traces.begin_at(at(1)).end_block(&Block::default(), |_| unreachable!("nobody listens"));
}
