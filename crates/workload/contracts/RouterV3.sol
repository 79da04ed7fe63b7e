// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "IERC20.sol";
import {ISwapCallback, PoolV3} from "PoolV3.sol";

/// Swaps an exact input through one pool, and pays when the pool calls back. For the workloads only: it does not check
/// who calls back.
contract RouterV3 is ISwapCallback {
    function swap(PoolV3 pool, bool zeroForOne, uint256 amountIn, uint160 priceLimit) external {
        IERC20 tokenIn = zeroForOne ? pool.token0() : pool.token1();
        pool.swap(msg.sender, zeroForOne, amountIn, priceLimit, abi.encode(tokenIn, msg.sender));
    }

    function swapCallback(uint256 amountIn, bytes calldata data) external {
        (IERC20 tokenIn, address payer) = abi.decode(data, (IERC20, address));
        require(tokenIn.transferFrom(payer, msg.sender, amountIn), "TRANSFER_FAILED");
    }
}
