// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// Computes without touching the state.
contract Compute {
    uint256 private constant PRIME = 2 ** 255 - 19;

    function run(uint256 seed, uint256 iterations) external pure returns (uint256 value) {
        value = seed;
        for (uint256 i = 0; i < iterations; ++i) {
            uint256 hash = uint256(keccak256(abi.encode(value, i)));
            value = addmod(mulmod(value, hash, PRIME), hash / (i + 1), PRIME);
        }
    }
}
