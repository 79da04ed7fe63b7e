// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// The few of forge's cheat codes that the script and the test use.
interface Vm {
    function startBroadcast() external;
    function stopBroadcast() external;
    function envAddress(string calldata name) external view returns (address);
    function prank(address sender) external;
    function deal(address account, uint256 balance) external;
    function warp(uint256 time) external;
    function expectPartialRevert(bytes4 error) external;
}

Vm constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
