//! Access lists made for messages.

use super::chain::{COUNTER, TestChain, address};
use crate::{CallError, CallLimits, CallRequest, CallStatus, Overrides, create_access_list};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256};
use std::time::Duration;

const LIMITS: CallLimits<'static> =
    CallLimits { gas: 50_000_000, memory: 64 << 20, time: Duration::MAX, elapsed: &|| Duration::ZERO };
/// Reads slot 7 and the balance of the account 0xaa.., then fails.
const FAILING: &[u8] = &[
    0x60, 7, 0x54, 0x50, 0x73, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
    0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0x31, 0x5f, 0x5f, 0xfd,
];
/// Reads slot 1 if reading slot 0 was cheap, otherwise slot 2.
const CURIOUS: &[u8] = &[
    0x5a, 0x5f, 0x54, 0x50, 0x5a, 0x90, 0x03, 0x61, 0x03, 0xe8, 0x11, 0x60, 20, 0x57, 0x60, 2, 0x54, 0x00, 0xfe, 0xfe,
    0x5b, 0x60, 1, 0x54, 0x00,
];

fn listed(place: Address, request: CallRequest) -> Result<(AccessList, CallStatus, u64), CallError> {
    let code: &[(Address, &'static [u8])] =
        &[(address(0xc0), COUNTER), (address(0xc1), FAILING), (address(0xc2), CURIOUS)];
    let chain = TestChain::heddle(code);
    let request = CallRequest { to: Some(place), ..request };
    let header = chain.genesis.header();
    let listed = create_access_list(&chain.rules, &chain.state, header, &request, &Overrides::default(), &LIMITS);
    listed.map(|(list, outcome)| (list, outcome.status, outcome.gas_used))
}

fn item(address: Address, slots: &[u8]) -> AccessListItem {
    AccessListItem { address, storage_keys: slots.iter().map(|slot| B256::with_last_byte(*slot)).collect() }
}

#[test]
fn what_is_touched_is_listed_also_when_the_message_fails() {
    let (list, status, gas) = listed(address(0xc0), CallRequest::default()).unwrap();
    assert_eq!((list.0, status), (vec![item(address(0xc0), &[0])], CallStatus::Success));
    // Intrinsic gas with one address and one slot, a warm read, a fresh slot, four cheap instructions.
    assert_eq!(gas, 21_000 + 2_400 + 1_900 + 100 + 20_000 + 4 * 3);
    let (list, status, _) = listed(address(0xc1), CallRequest::default()).unwrap();
    assert_eq!((list.0, status), (vec![item(address(0xaa), &[]), item(address(0xc1), &[7])], CallStatus::Revert));
}

#[test]
fn the_list_is_the_one_of_a_run_with_it() {
    let (list, ..) = listed(address(0xc2), CallRequest::default()).unwrap();
    assert_eq!(list.0, [item(address(0xc2), &[0, 1])]);
}

#[test]
fn other_accounts_that_were_asked_for_stay() {
    let access_list = AccessList(vec![item(address(0x99), &[1]), item(address(0xc0), &[0])]);
    let (list, ..) =
        listed(address(0xc0), CallRequest { access_list: Some(access_list), ..CallRequest::default() }).unwrap();
    assert_eq!(list.0, [item(address(0x99), &[1]), item(address(0xc0), &[0])]);
}
