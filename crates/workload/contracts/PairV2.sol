// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "IERC20.sol";

/// A constant product pool that does what Uniswap's v2 pair does in `swap`.
contract PairV2 {
    IERC20 public token0; // slot 0
    IERC20 public token1; // slot 1
    uint112 private reserve0; // slot 2, with the next two
    uint112 private reserve1;
    uint32 private blockTimestampLast;
    uint256 public price0CumulativeLast;
    uint256 public price1CumulativeLast;
    uint256 private unlocked; // slot 5; 1 is unlocked

    event Swap(
        address indexed sender,
        uint256 amount0In,
        uint256 amount1In,
        uint256 amount0Out,
        uint256 amount1Out,
        address indexed to
    );
    event Sync(uint112 reserve0, uint112 reserve1);

    modifier lock() {
        require(unlocked == 1, "LOCKED");
        unlocked = 0;
        _;
        unlocked = 1;
    }

    function getReserves() public view returns (uint112, uint112, uint32) {
        return (reserve0, reserve1, blockTimestampLast);
    }

    function swap(uint256 amount0Out, uint256 amount1Out, address to) external lock {
        require(amount0Out > 0 || amount1Out > 0, "INSUFFICIENT_OUTPUT_AMOUNT");
        (uint112 before0, uint112 before1,) = getReserves();
        require(amount0Out < before0 && amount1Out < before1, "INSUFFICIENT_LIQUIDITY");
        (uint256 balance0, uint256 balance1) = _payOut(amount0Out, amount1Out, to);
        uint256 amount0In = _paid(balance0, before0 - amount0Out);
        uint256 amount1In = _paid(balance1, before1 - amount1Out);
        require(amount0In > 0 || amount1In > 0, "INSUFFICIENT_INPUT_AMOUNT");
        {
            uint256 adjusted0 = balance0 * 1000 - amount0In * 3;
            uint256 adjusted1 = balance1 * 1000 - amount1In * 3;
            require(adjusted0 * adjusted1 >= uint256(before0) * before1 * 1000 ** 2, "K");
        }
        _update(balance0, balance1, before0, before1);
        emit Swap(msg.sender, amount0In, amount1In, amount0Out, amount1Out, to);
    }

    /// Pays without waiting for what is owed, and tells what the pair then has of both tokens.
    function _payOut(uint256 amount0Out, uint256 amount1Out, address to) private returns (uint256, uint256) {
        (IERC20 t0, IERC20 t1) = (token0, token1);
        require(to != address(t0) && to != address(t1), "INVALID_TO");
        if (amount0Out > 0) require(t0.transfer(to, amount0Out), "TRANSFER_FAILED");
        if (amount1Out > 0) require(t1.transfer(to, amount1Out), "TRANSFER_FAILED");
        return (t0.balanceOf(address(this)), t1.balanceOf(address(this)));
    }

    function _paid(uint256 balance, uint256 owed) private pure returns (uint256) {
        return balance > owed ? balance - owed : 0;
    }

    function _update(uint256 balance0, uint256 balance1, uint112 before0, uint112 before1) private {
        require(balance0 <= type(uint112).max && balance1 <= type(uint112).max, "OVERFLOW");
        uint32 timestamp = uint32(block.timestamp);
        unchecked {
            uint32 elapsed = timestamp - blockTimestampLast;
            if (elapsed > 0 && before0 != 0 && before1 != 0) {
                price0CumulativeLast += ((uint256(before1) << 112) / before0) * elapsed;
                price1CumulativeLast += ((uint256(before0) << 112) / before1) * elapsed;
            }
        }
        (reserve0, reserve1, blockTimestampLast) = (uint112(balance0), uint112(balance1), timestamp);
        emit Sync(uint112(balance0), uint112(balance1));
    }
}
