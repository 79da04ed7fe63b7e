//! The contracts' runtime code, and where Solidity keeps what is in a mapping. Sources are in `contracts`.

use alloy_primitives::{B256, Bytes, U256, hex, keccak256};

macro_rules! code {
    ($($(#[$doc:meta])* $name:ident: $file:literal;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name() -> Bytes {
            const TEXT: &[u8] = include_bytes!(concat!("../contracts/", $file, ".hex")).trim_ascii_end();
            const CODE: [u8; TEXT.len() / 2] = match hex::const_decode_to_array(TEXT) {
                Ok(code) => code,
                Err(_) => panic!("a contract's file is not hexadecimal"),
            };
            Bytes::from_static(&CODE)
        }
    )*};
}

code! {
    token: "Token";
    nft: "Nft";
    airdrop: "Airdrop";
    compute: "Compute";
    reader: "Reader";
    pair_v2: "PairV2";
    router_v2: "RouterV2";
    pool_v3: "PoolV3";
    router_v3: "RouterV3";
}

/// The slot of `key` in the mapping at `slot`.
pub(crate) fn mapping_slot(key: B256, slot: U256) -> U256 {
    keccak256([key.0, slot.to_be_bytes()].concat()).into()
}

/// Init code that deploys `runtime`, at most 65,535 bytes of it.
pub(crate) fn init_code(runtime: &[u8]) -> Bytes {
    let [high, low] = (runtime.len() as u16).to_be_bytes();
    // PUSH2 length, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN; the runtime code follows at 10.
    let copy = [0x61, high, low, 0x80, 0x60, 10, 0x5f, 0x39, 0x5f, 0xf3];
    [&copy[..], runtime].concat().into()
}
