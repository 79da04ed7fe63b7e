//! A traced block is the block: whatever looks on, gas and logs are those that execution gives; and traces are bounded.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use alloy_primitives::B256;
use alloy_rpc_types_trace::geth::{CallConfig, CallFrame, GethDebugTracingOptions};
use alloy_rpc_types_trace::parity::TraceType;
use heddle_evm::{
    ExecutionOutcome, Mode, TraceBounds, TraceError, TraceOptions, TracedBlock, execute, trace_geth, trace_operations,
    trace_parity,
};
use heddle_workload::{Size, Workload, by_name};
use serde_json::{Value, json};
use std::time::Duration;

const NO_TIME: &(dyn Fn() -> Duration + Sync) = &|| Duration::ZERO;
const BOUNDS: TraceBounds<'static> =
    TraceBounds { bytes: 256 * 1024 * 1024, time: Duration::from_secs(1), elapsed: NO_TIME };
/// Transactions of each workload that are traced.
const COUNT: usize = 40;

fn workload(name: &str) -> Workload {
    let mut workload = by_name(name, Size::Small).unwrap();
    workload.transactions.truncate(COUNT);
    workload
}

fn outcome(workload: &Workload) -> ExecutionOutcome {
    execute(&workload.rules, &workload.state, &workload.context(), &workload.transactions, Mode::Sequential).unwrap()
}

fn block(workload: &Workload) -> TracedBlock<'_> {
    TracedBlock {
        rules: &workload.rules,
        reader: &workload.state,
        context: workload.context(),
        hash: B256::repeat_byte(1),
        transactions: &workload.transactions,
    }
}

fn options(json: Value) -> TraceOptions {
    TraceOptions { tracing: serde_json::from_value(json).unwrap(), allows_javascript: true }
}

fn traces(workload: &Workload, tracer: Value) -> Vec<Value> {
    let traces = trace_geth(&block(workload), 0..workload.transactions.len(), &options(tracer), BOUNDS).unwrap();
    traces.iter().map(|trace| serde_json::from_str(trace.get()).unwrap()).collect()
}

/// The gas of each transaction.
fn gas(outcome: &ExecutionOutcome) -> Vec<u64> {
    let mut before = 0;
    let gas = outcome.receipts.iter().map(|receipt| {
        let used = receipt.cumulative_gas_used() - before;
        before += used;
        used
    });
    gas.collect()
}

#[test]
fn call_traces_have_the_gas_and_the_logs_of_the_block() {
    for name in ["mixed", "swaps-v3-one-pool", "nft-mint", "creation"] {
        let workload = workload(name);
        let outcome = outcome(&workload);
        let tracing = GethDebugTracingOptions::call_tracer(CallConfig::default().with_log());
        let options = TraceOptions { tracing, ..TraceOptions::default() };
        let traces = trace_geth(&block(&workload), 0..COUNT, &options, BOUNDS).unwrap();
        let frames: Vec<CallFrame> = traces.iter().map(|trace| serde_json::from_str(trace.get()).unwrap()).collect();
        assert_eq!(frames.iter().map(|frame| frame.gas_used.to::<u64>()).collect::<Vec<_>>(), gas(&outcome), "{name}");
        let mut logs = Vec::new();
        frames.iter().for_each(|frame| logs_of(frame, &mut logs));
        logs.sort_unstable();
        let expected = outcome.receipts.iter().flat_map(|receipt| receipt.logs()).enumerate();
        let expected: Vec<_> =
            expected.map(|(index, log)| (index as u64, log.address, log.data.data.clone())).collect();
        assert_eq!(logs, expected, "{name}");
    }
}

fn logs_of(frame: &CallFrame, logs: &mut Vec<(u64, alloy_primitives::Address, alloy_primitives::Bytes)>) {
    let of_frame = frame.logs.iter().cloned();
    logs.extend(of_frame.map(|log| (log.index.unwrap(), log.address.unwrap(), log.data.unwrap())));
    frame.calls.iter().for_each(|call| logs_of(call, logs));
}

#[test]
fn struct_logs_have_the_gas_of_the_block() {
    let workload = workload("swaps-v2-one-pool");
    let outcome = outcome(&workload);
    for limit in [0, 3] {
        // Memory is written again with every instruction: only for a few of them.
        let traces = traces(&workload, json!({ "limit": limit, "enableMemory": limit > 0 }));
        let used: Vec<_> = traces.iter().map(|trace| trace["gas"].as_u64().unwrap()).collect();
        assert_eq!(used, gas(&outcome));
        let lengths = traces.iter().map(|trace| trace["structLogs"].as_array().unwrap().len());
        assert!(lengths.into_iter().all(|length| if limit == 0 { length > 1_000 } else { length == limit }));
    }
}

#[test]
fn every_tracer_traces_every_transaction() {
    let workload = workload("mixed");
    for tracer in [
        json!({}),
        json!({ "tracer": "callTracer", "tracerConfig": { "onlyTopCall": true } }),
        json!({ "tracer": "prestateTracer" }),
        json!({ "tracer": "prestateTracer", "tracerConfig": { "diffMode": true, "disableCode": true } }),
        json!({ "tracer": "4byteTracer" }),
        json!({ "tracer": "flatCallTracer" }),
        json!({ "tracer": "muxTracer", "tracerConfig": { "4byteTracer": null, "callTracer": {} } }),
        json!({ "tracer": "noopTracer" }),
        json!({ "tracer": "{ steps: 0, step: function() { this.steps++ }, fault: function() {}, result: function() { return this.steps } }" }),
    ] {
        assert_eq!(traces(&workload, tracer.clone()).len(), COUNT, "{tracer}");
    }
    let parts = [TraceType::Trace, TraceType::StateDiff, TraceType::VmTrace].into_iter().collect();
    let parity = trace_parity(&block(&workload), 0..COUNT, &parts, BOUNDS).unwrap();
    assert!(parity.iter().all(|trace| !trace.trace.is_empty() && trace.state_diff.is_some()));
    trace_operations(&block(&workload), COUNT - 1, BOUNDS).unwrap();
}

#[test]
fn what_a_tracer_keeps_for_one_transaction_is_not_counted_for_the_next() {
    let workload = workload("nft-mint");
    let options = options(json!({ "tracer": "erc7562Tracer" }));
    let trace =
        |count: usize, bytes: usize| trace_geth(&block(&workload), 0..count, &options, TraceBounds { bytes, ..BOUNDS });
    let least = (10..).map(|bits| 1 << bits).find(|bytes| trace(1, *bytes).is_ok()).unwrap();
    assert!(trace(1, least / 2).is_err());
    assert_eq!(trace(4, 2 * least).unwrap().len(), 4);
}

#[test]
fn one_transaction_is_traced_as_in_its_block() {
    let workload = workload("swaps-v2-one-pool");
    let tracer = json!({ "tracer": "prestateTracer", "tracerConfig": { "diffMode": true } });
    let all = traces(&workload, tracer.clone());
    let one = trace_geth(&block(&workload), 7..8, &options(tracer), BOUNDS).unwrap();
    assert_eq!(one.len(), 1);
    assert_eq!(serde_json::from_str::<Value>(one[0].get()).unwrap(), all[7]);
}

#[test]
fn a_trace_ends_when_it_grows_too_large_or_takes_too_long() {
    let workload = workload("compute");
    let block = block(&workload);
    let kilobyte = TraceBounds { bytes: 1_024, ..BOUNDS };
    let late = TraceBounds { elapsed: &|| Duration::from_secs(2), ..BOUNDS };
    let parts = [TraceType::VmTrace].into_iter().collect();
    let js = "{ step: function() {}, fault: function() {}, result: function() { return 'x'.repeat(2000) } }";
    let erc7562 = json!({ "tracer": "erc7562Tracer" });
    for tracer in [json!({}), json!({ "tracer": "prestateTracer" }), erc7562, json!({ "tracer": js })] {
        let error = trace_geth(&block, 0..COUNT, &options(tracer.clone()), kilobyte).unwrap_err();
        assert!(matches!(error, TraceError::TooLarge(_)), "{tracer}: {error}");
        let error = trace_geth(&block, 0..COUNT, &options(tracer), late).unwrap_err();
        assert!(matches!(error, TraceError::Timeout(_)), "{error}");
    }
    assert!(matches!(trace_parity(&block, 0..COUNT, &parts, kilobyte), Err(TraceError::TooLarge(1_024))));
    assert!(matches!(trace_parity(&block, 0..COUNT, &parts, late), Err(TraceError::Timeout(_))));
}

#[test]
fn tracers_that_are_not_there_are_refused() {
    let workload = workload("compute");
    let trace = |options: &TraceOptions| trace_geth(&block(&workload), 0..1, options, BOUNDS);
    let setup = |body: &str| {
        json!(format!("{{ setup: function() {{ {body} }}, result: function() {{}}, fault: function() {{}} }}"))
    };
    let (looping, recursive) = (setup("for (;;) {}"), setup("this.setup()"));
    for tracer in [json!("fooTracer"), json!("{ result: 1 }"), looping, recursive] {
        let error = trace(&options(json!({ "tracer": tracer }))).unwrap_err();
        assert!(matches!(error, TraceError::Tracer(_)), "{tracer}: {error}");
    }
    let guarded = TraceOptions { allows_javascript: false, ..options(json!({ "tracer": "{}" })) };
    let error = trace(&guarded).unwrap_err().to_string();
    assert!(error.contains("JavaScript are switched off"), "{error}");
}
