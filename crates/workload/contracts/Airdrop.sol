// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "IERC20.sol";

/// Pays the caller's tokens to many holders at once.
contract Airdrop {
    function airdrop(IERC20 token, address[] calldata holders, uint256 value) external {
        for (uint256 i = 0; i < holders.length; ++i) {
            require(token.transferFrom(msg.sender, holders[i], value));
        }
    }
}
