// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// Reads pairs of a slot of its own and the balance of an account, at places that look random.
contract Reader {
    /// Slots 0 to `slots - 1`, and accounts `base` to `base + accounts - 1`. All of them must be nonzero.
    function read(uint256 seed, uint256 pairs, uint256 slots, uint256 base, uint256 accounts)
        external
        view
        returns (uint256 sum)
    {
        for (uint256 i = 0; i < pairs; ++i) {
            seed = uint256(keccak256(abi.encode(seed, i)));
            uint256 slot = (seed >> 128) % slots;
            uint256 value;
            assembly {
                value := sload(slot)
            }
            uint256 balance = address(uint160(base + uint128(seed) % accounts)).balance;
            require(value != 0 && balance != 0);
            unchecked {
                sum += value ^ balance;
            }
        }
    }
}
