// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Vault} from "../src/Vault.sol";
import {vm} from "./Vm.sol";

/// Deploys a vault, pays into it twice and empties it: four transactions that depend on each other.
contract Deploy {
    // forge looks for this.
    bool public constant IS_SCRIPT = true;

    function run() external returns (Vault vault) {
        vm.startBroadcast();
        vault = new Vault{value: 1 ether}(block.timestamp);
        vault.deposit{value: 0.5 ether}();
        vault.deposit{value: 0.25 ether}();
        vault.withdraw(payable(address(0x00000000000000000000000000000000000F0496)));
        vm.stopBroadcast();
    }
}
