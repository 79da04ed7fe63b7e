// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Vault} from "../src/Vault.sol";
import {vm} from "../script/Vm.sol";

/// On a fork of the devnet's state: what the script deployed is there.
contract ForkTest {
    // forge looks for this.
    bool public constant IS_TEST = true;

    function test_the_deployed_vault_works_on() external {
        Vault vault = Vault(vm.envAddress("VAULT"));
        require(block.chainid == 31337, "the chain id is the devnet's");
        require(address(0x00000000000000000000000000000000000F0496).balance == 1.75 ether, "it was emptied");
        vm.deal(address(this), 1 ether);
        vault.deposit{value: 1 ether}();
        vm.prank(vault.owner());
        vault.withdraw(payable(address(0xdead)));
        require(address(vault).balance == 0, "it is empty again");
    }

    function test_a_vault_stays_closed_until_its_hour() external {
        Vault vault = new Vault(block.timestamp + 1 hours);
        vm.expectPartialRevert(Vault.Closed.selector);
        vault.withdraw(payable(address(this)));
        vm.warp(block.timestamp + 1 hours);
        vault.withdraw(payable(address(0xdead)));
    }
}
