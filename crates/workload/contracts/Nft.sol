// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// A collection whose every mint takes the next number: all mints wait for one slot.
contract Nft {
    uint256 public minted;
    mapping(uint256 => address) public ownerOf;
    mapping(address => uint256) public balanceOf;

    event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);

    function mint() external returns (uint256 tokenId) {
        tokenId = ++minted;
        ownerOf[tokenId] = msg.sender;
        ++balanceOf[msg.sender];
        emit Transfer(address(0), msg.sender, tokenId);
    }
}
