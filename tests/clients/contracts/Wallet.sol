// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// What an account delegates to (EIP-7702): several calls at once, by the account itself or whom it signed for.
contract Wallet {
    struct Call {
        address to;
        uint256 value;
        bytes data;
    }

    event Executed(address indexed sender, uint256 calls);

    error NotTheOwner(address sender);

    /// In the account's own storage.
    uint256 public executions;

    function execute(Call[] calldata calls) external payable {
        if (msg.sender != address(this)) revert NotTheOwner(msg.sender);
        for (uint256 i = 0; i < calls.length; i++) {
            (bool ok,) = calls[i].to.call{value: calls[i].value}(calls[i].data);
            require(ok, "a call failed");
        }
        executions += 1;
        emit Executed(msg.sender, calls.length);
    }

    receive() external payable {}
}
