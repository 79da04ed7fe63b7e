// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";
import {ERC1155Supply} from "@openzeppelin/contracts/token/ERC1155/extensions/ERC1155Supply.sol";

/// What a game has: whoever deploys it owns all.
contract Items is ERC1155Supply {
    constructor(uint256[] memory ids, uint256[] memory amounts) ERC1155("ipfs://items/{id}") {
        _mintBatch(msg.sender, ids, amounts, "");
    }
}
