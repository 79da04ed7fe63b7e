//! The contracts of the world: small, and in each other's way.
//!
//! Each takes up to three words of data, `a`, `b` and `c`, of which any may be anything. What one learns it logs, so
//! that a difference between two executions is seen.

use crate::assembler::{assemble, init_code};
use alloy_evm::eth::eip6110::DepositEvent;
use alloy_primitives::{Address, Bytes, U256, hex};
use alloy_sol_types::SolEvent;

/// The contracts' code, by their place among the contracts.
pub const SOURCES: &[(&str, &str)] = &[
    ("counter", "0 sload 1 add 0 sstore"),
    ("setter", "b a 7 and sstore"),
    ("chaser: where it writes depends on what it reads", "a 7 and sload dup1 b add swap1 7 and sstore"),
    (
        "token",
        "caller sload dup1 b gt @fail jumpi  b swap1 sub caller sstore  a sload b add a sstore
         b 0 mstore a caller 32 0 log2  1 0 mstore 32 0 return
         :fail 0 0 revert",
    ),
    (
        "pool: a constant product of two reserves, paying out in the token",
        "1 sload  a 255 and 1 add  dup1 0 sload add  dup1 0 sstore
         swap1 dup3 mul div  dup1 swap2 sub 1 sstore
         caller 0 mstore 32 mstore  0xa9 64 mstore  0 0 64 0 0 0xc000000000000000000000000000000000000003 gas call
         iszero @fail jumpi stop
         :fail 0 0 revert",
    ),
    (
        "probe: all that can be seen of an account, and of the fee recipient",
        "a balance 0 mstore  a extcodesize 32 mstore  a extcodehash 64 mstore  selfbalance 96 mstore
         coinbase balance 128 mstore  gas 160 mstore  64 0 192 a extcodecopy  coinbase extcodehash 256 mstore
         288 0 log0
         b @store jumpi stop
         :store a balance b 3 and sstore",
    ),
    (
        "old probe: what Frontier could see",
        "a balance 0 mstore  a extcodesize 32 mstore  coinbase balance 64 mstore  address balance 96 mstore
         32 0 128 a extcodecopy  160 0 log0
         b @store jumpi stop
         :store coinbase balance b 3 and sstore",
    ),
    (
        "payer: pays while it can, and may repent",
        "0 0 0 0 b a gas call  0 mstore 32 0 log0  c @fail jumpi stop
         :fail 0 0 revert",
    ),
    ("sweeper: sends away all it has", "0 0 0 0 address balance a gas call 0 mstore 32 0 log0"),
    (
        "factory: creates what stands after the third word",
        "96 calldatasize sub dup1 96 0 calldatacopy  c @plain jumpi
         a swap1 0 b create2 @done jump
         :plain 0 b create
         :done 0 mstore 32 0 log0",
    ),
    ("child", CHILD),
    ("other child", CHILD),
    (
        "environment",
        "a number sub blockhash 0 mstore  timestamp 32 mstore  difficulty 64 mstore  coinbase 96 mstore
         gasprice 128 mstore  caller 160 mstore  origin 192 mstore  callvalue 224 mstore  gaslimit 256 mstore
         288 0 log0",
    ),
    ("gas: keeps what it was left", "0 sload gas add 0 sstore gas 1 sstore"),
    ("transient", "a 3 and tload 0 mstore  b a 3 and tstore  a 3 and tload 32 mstore  64 0 log0"),
    (
        "worker: its work depends on what it finds",
        "0 sload a add 127 and
         :loop dup1 iszero @done jumpi  1 swap1 sub  32 0 keccak256 0 mstore  @loop jump
         :done  0 mload 3 and dup1 sload 1 add swap1 sstore  b 0 sstore",
    ),
    ("batch", BATCH),
    ("reverter: late", "1 0 sload add 0 sstore  a 1 sstore  0 0 log0  0 0 revert"),
];

/// Counts, or with `a` disappears in favour of `b`.
const CHILD: &str = "a @destroy jumpi  0 sload 1 add dup1 0 sstore 0 mstore 32 0 log0  c @more jumpi stop
    :more b c 7 and sstore stop
    :destroy b selfdestruct";

/// Calls others in turn. After a first word that says how to end come, for each call: target, value, how, length of the
/// data, the data.
const BATCH: &str = "32
    :next  dup1 calldatasize gt iszero @end jumpi
    dup1 96 add calldataload  dup1 dup3 128 add 0 calldatacopy
    32 32 dup3 0  dup6 64 add calldataload
    dup1 1 eq @delegate jumpi  dup1 2 eq @static jumpi  dup1 3 eq @callcode jumpi
    pop  dup6 32 add calldataload dup7 calldataload gas call @after jump
    :delegate pop dup6 calldataload gas delegatecall @after jump
    :static pop dup6 calldataload gas staticcall @after jump
    :callcode pop dup6 32 add calldataload dup7 calldataload gas callcode
    :after 0 mstore 64 0 log0  add 128 add  @next jump
    :end 0 calldataload
    dup1 1 eq @revert jumpi  dup1 2 eq @invalid jumpi  3 eq @burn jumpi  stop
    :revert 0 0 revert
    :invalid invalid
    :burn @burn jump";

/// How many contracts there are.
pub const COUNT: usize = SOURCES.len();

/// The position in [`SOURCES`] of the contract whose description begins with `name`.
pub fn index(name: &str) -> usize {
    SOURCES.iter().position(|(description, _)| description.starts_with(name)).unwrap()
}

/// The address of the contract at a position in [`SOURCES`].
pub fn address(index: usize) -> Address {
    let mut address = Address::with_last_byte(u8::try_from(index % COUNT).unwrap());
    address.0[0] = 0xc0;
    address
}

/// The code of the contract at a position in [`SOURCES`].
pub fn code(index: usize) -> Bytes {
    assemble(SOURCES[index % COUNT].1).into()
}

/// Init code, each kind ending a creation in another way.
#[derive(Clone, Copy, Debug)]
pub enum Init {
    /// Deploys a child that saw the storage it was born with.
    Child,
    /// Deploys nothing.
    Empty,
    /// Writes, and reverts.
    Revert,
    /// Writes, and destroys what is being created in favour of the sender.
    Destroy,
    /// Deploys what begins with the byte that EIP-3541 reserves.
    Reserved,
    /// Runs out of gas.
    Burn,
    /// Calls the counter while it is being created.
    Call,
}

impl Init {
    /// The init code.
    pub fn code(self) -> Bytes {
        let child = assemble(CHILD);
        let code = match self {
            Self::Child => init_code("0 sload 1 add 0 sstore  1 sload 0 mstore 32 0 log0", &child),
            Self::Empty => init_code("1 0 sstore", &[]),
            Self::Revert => assemble("1 0 sstore 0 0 revert"),
            Self::Destroy => assemble("1 0 sstore caller selfdestruct"),
            Self::Reserved => init_code("", &[0xef, 1]),
            Self::Burn => assemble("1 0 sstore :burn @burn jump"),
            Self::Call => {
                let counter = hex::encode(address(0));
                init_code(&format!("0 0 0 0 callvalue 0x{counter} gas call 0 sstore"), &child)
            }
        };
        code.into()
    }
}

/// Code at the deposit contract's address: logs the call's data as a deposit (EIP-6110).
pub fn deposit_contract() -> Bytes {
    let topic = hex::encode(DepositEvent::SIGNATURE_HASH);
    assemble(&format!("calldatasize 0 0 calldatacopy 0x{topic} calldatasize 0 log1")).into()
}

/// The data of a deposit.
pub fn deposit() -> Bytes {
    let event = DepositEvent {
        pubkey: vec![1; 48].into(),
        withdrawal_credentials: vec![2; 32].into(),
        amount: vec![3; 8].into(),
        signature: vec![4; 96].into(),
        index: vec![5; 8].into(),
    };
    event.encode_data().into()
}

/// One call of the batch contract: target, value, how, data.
pub fn batch_entry(target: Address, value: U256, how: u8, data: &[u8]) -> Vec<u8> {
    let words = [U256::from_be_slice(target.as_slice()), value, U256::from(how), U256::from(data.len())];
    let mut entry: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes::<32>()).collect();
    entry.extend_from_slice(data);
    entry
}
