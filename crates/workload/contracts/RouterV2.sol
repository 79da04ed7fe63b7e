// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "IERC20.sol";
import {PairV2} from "PairV2.sol";

/// Swaps an exact input through one pair, as Uniswap's v2 router does.
contract RouterV2 {
    function swap(PairV2 pair, bool zeroForOne, uint256 amountIn, uint256 amountOutMin) external {
        IERC20 tokenIn = zeroForOne ? pair.token0() : pair.token1();
        (uint256 reserveIn, uint256 reserveOut,) = pair.getReserves();
        if (!zeroForOne) (reserveIn, reserveOut) = (reserveOut, reserveIn);
        require(tokenIn.transferFrom(msg.sender, address(pair), amountIn), "TRANSFER_FAILED");
        uint256 paid = amountIn * 997;
        uint256 amountOut = (paid * reserveOut) / (reserveIn * 1000 + paid);
        require(amountOut >= amountOutMin, "INSUFFICIENT_OUTPUT_AMOUNT");
        pair.swap(zeroForOne ? 0 : amountOut, zeroForOne ? amountOut : 0, msg.sender);
    }
}
