// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// Keeps ether until an hour of the chain's clock that its owner named.
contract Vault {
    address public immutable owner;
    uint256 public immutable opens;

    event Deposited(address indexed from, uint256 value);

    error Closed(uint256 opens, uint256 now_);

    constructor(uint256 time) payable {
        owner = msg.sender;
        opens = time;
    }

    function deposit() external payable {
        emit Deposited(msg.sender, msg.value);
    }

    function withdraw(address payable to) external {
        require(msg.sender == owner, "not the owner");
        if (block.timestamp < opens) revert Closed(opens, block.timestamp);
        to.transfer(address(this).balance);
    }
}
