// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {ERC721Enumerable} from "@openzeppelin/contracts/token/ERC721/extensions/ERC721Enumerable.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

/// Works of art, numbered from 1.
contract Collection is ERC721Enumerable, Ownable {
    constructor() ERC721("Collection", "ART") Ownable(msg.sender) {}

    function mint(address to) external onlyOwner {
        _safeMint(to, totalSupply() + 1);
    }

    function _baseURI() internal pure override returns (string memory) {
        return "ipfs://art/";
    }
}
