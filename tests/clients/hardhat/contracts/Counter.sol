// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// The contract of Hardhat's sample project.
contract Counter {
    uint256 public x;

    event Increment(uint256 by);

    error Zero();

    function inc() external {
        x++;
        emit Increment(1);
    }

    function incBy(uint256 by) external {
        if (by == 0) revert Zero();
        x += by;
        emit Increment(by);
    }
}
