//! What two executions of a block did differently.

use heddle_evm::{ExecutionError, ExecutionOutcome};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// What an execution gives.
pub type Outcome = Result<ExecutionOutcome, ExecutionError>;

/// What `outcome` has otherwise than expected, and nothing of what they have in common; `None` when they are the same.
pub fn difference(expected: &Outcome, outcome: &Outcome) -> Option<String> {
    let (expected, outcome) = match (expected, outcome) {
        (Ok(expected), Ok(outcome)) if expected == outcome => return None,
        (Ok(expected), Ok(outcome)) => (parts(expected), parts(outcome)),
        (expected, outcome) => (BTreeMap::from([error(expected)]), BTreeMap::from([error(outcome)])),
    };
    let names = expected.keys().chain(outcome.keys().filter(|name| !expected.contains_key(*name)));
    let value = |parts: &BTreeMap<String, String>, name: &str| parts.get(name).map_or("none", |part| part).to_owned();
    let differences = names
        .filter(|name| expected.get(*name) != outcome.get(*name))
        .map(|name| format!("{name}\nexpected: {}\ngot: {}\n", value(&expected, name), value(&outcome, name)));
    let differences: String = differences.collect();
    (!differences.is_empty()).then_some(differences)
}

fn error(outcome: &Outcome) -> (String, String) {
    ("result".to_owned(), outcome.as_ref().map_or_else(|error| format!("{error:?}"), |_| "a valid block".to_owned()))
}

/// The parts of an outcome by their names. Every field is among them, so that none can differ unseen.
fn parts(outcome: &ExecutionOutcome) -> BTreeMap<String, String> {
    let ExecutionOutcome { receipts, changes, requests, gas_used, blob_gas_used, access_list, has_call_failed } =
        outcome;
    let mut parts = BTreeMap::new();
    let mut add = |name: String, part: &dyn Debug| drop(parts.insert(name, format!("{part:#?}")));
    add("receipts".to_owned(), &receipts.len());
    receipts.iter().enumerate().for_each(|(index, receipt)| add(format!("receipt {index}"), receipt));
    changes.accounts.iter().for_each(|(address, change)| add(format!("change of {address}"), change));
    changes.code.iter().for_each(|(hash, code)| add(format!("code {hash}"), code));
    add("requests".to_owned(), requests);
    add("gas used".to_owned(), &(gas_used, blob_gas_used));
    add("whether the chain's call failed".to_owned(), has_call_failed);
    add("whether there is an access list".to_owned(), &access_list.is_some());
    for (index, account) in access_list.iter().flatten().enumerate() {
        add(format!("access list, account {} at {index}", account.address), account);
    }
    parts
}
