// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// Does what two nodes may disagree about: writes, logs, creates, calls, and fails in every way.
contract Subject {
    uint256 public value;
    mapping(uint256 => uint256) public slots;

    event Said(uint256 indexed number, address indexed by, bytes data);
    event Anonymous(uint256 number) anonymous;

    error Refused(uint256 number, string text);

    constructor() payable {
        value = 7;
    }

    function write(uint256 from, uint256 count) external payable {
        for (uint256 i = from; i < from + count; i++) slots[i] = i + 1;
        value += count;
    }

    function clear(uint256 slot) external {
        delete slots[slot];
    }

    function say(uint256 count) external {
        for (uint256 i = 0; i < count; i++) emit Said(i, msg.sender, abi.encode(i, value));
        emit Anonymous(count);
    }

    function nested(uint256 depth) external returns (uint256) {
        if (depth == 0) return ++value;
        emit Said(depth, msg.sender, "");
        return this.nested(depth - 1);
    }

    function create(uint256 salt) external returns (Child child) {
        child = new Child{salt: bytes32(salt), value: 1}();
        child.grow();
    }

    function tolerate() external returns (bool ok, bytes memory data) {
        (ok, data) = address(this).call(abi.encodeCall(this.refuse, (1)));
        value = 99;
    }

    function refuse(uint256 number) external pure {
        revert Refused(number, "as asked");
    }

    function explain() external pure {
        require(false, "because");
    }

    function silence() external pure {
        require(false);
    }

    function panic(uint256 divisor) external pure returns (uint256) {
        return 1 / divisor;
    }

    function overrun() external pure returns (uint256 sum) {
        while (true) sum++;
    }

    function invalid() external pure {
        assembly {
            invalid()
        }
    }

    function hash(bytes calldata data) external view returns (bytes32, address, uint256, uint256) {
        return (sha256(data), msg.sender, address(this).balance, block.chainid);
    }
}

contract Child {
    uint256 public size = 1;

    constructor() payable {}

    function grow() external {
        size *= 2;
    }
}
