// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "IERC20.sol";
import {MathV3} from "MathV3.sol";

interface ISwapCallback {
    function swapCallback(uint256 amountIn, bytes calldata data) external;
}

/// A concentrated liquidity pool that reads, computes and writes what Uniswap's v3 pool does in a swap of an exact
/// input.
contract PoolV3 {
    struct Slot0 {
        uint160 sqrtPriceX96;
        int24 tick;
        uint16 observationIndex;
        uint16 observationCardinality;
        uint16 observationCardinalityNext;
        uint8 feeProtocol;
        bool unlocked;
    }

    struct Tick {
        uint128 liquidityGross;
        int128 liquidityNet;
        uint256 feeGrowthOutside0X128;
        uint256 feeGrowthOutside1X128;
        int56 tickCumulativeOutside;
        uint160 secondsPerLiquidityOutsideX128;
        uint32 secondsOutside;
        bool initialized;
    }

    struct Observation {
        uint32 blockTimestamp;
        int56 tickCumulative;
        uint160 secondsPerLiquidityCumulativeX128;
        bool initialized;
    }

    /// A swap under way.
    struct Progress {
        uint160 price;
        int24 tick;
        uint128 liquidity;
        uint256 remaining;
        uint256 amountOut;
        uint256 feeGrowth;
    }

    uint24 private constant FEE = 3000;
    int24 private constant SPACING = 60;

    IERC20 public token0; // slot 0
    IERC20 public token1; // slot 1
    Slot0 public slot0; // slot 2
    uint256 public feeGrowthGlobal0X128; // slot 3
    uint256 public feeGrowthGlobal1X128; // slot 4
    uint128 public liquidity; // slot 5
    mapping(int24 => Tick) public ticks; // slot 6
    mapping(int16 => uint256) public tickBitmap; // slot 7
    Observation[65535] public observations; // from slot 8

    event Swap(
        address indexed sender,
        address indexed recipient,
        int256 amount0,
        int256 amount1,
        uint160 sqrtPriceX96,
        uint128 liquidity,
        int24 tick
    );

    function swap(address recipient, bool zeroForOne, uint256 amountIn, uint160 priceLimit, bytes calldata data)
        external
        returns (uint256 amountOut)
    {
        Slot0 memory start = slot0;
        require(start.unlocked, "LOCKED");
        require(zeroForOne ? priceLimit < start.sqrtPriceX96 : priceLimit > start.sqrtPriceX96, "LIMIT");
        slot0.unlocked = false;
        Progress memory progress = Progress({
            price: start.sqrtPriceX96,
            tick: start.tick,
            liquidity: liquidity,
            remaining: amountIn,
            amountOut: 0,
            feeGrowth: zeroForOne ? feeGrowthGlobal0X128 : feeGrowthGlobal1X128
        });
        uint128 liquidityBefore = progress.liquidity;
        while (progress.remaining != 0 && progress.price != priceLimit) {
            _step(progress, zeroForOne, priceLimit, start);
        }
        if (progress.tick != start.tick) {
            (start.observationIndex, start.observationCardinality) = _observe(start, liquidityBefore);
            start.tick = progress.tick;
        }
        start.sqrtPriceX96 = progress.price;
        if (liquidityBefore != progress.liquidity) liquidity = progress.liquidity;
        if (zeroForOne) feeGrowthGlobal0X128 = progress.feeGrowth;
        else feeGrowthGlobal1X128 = progress.feeGrowth;
        amountOut = progress.amountOut;
        _pay(recipient, zeroForOne, amountIn - progress.remaining, amountOut, data);
        slot0 = start;
        _log(recipient, zeroForOne, amountIn, progress);
    }

    function _log(address recipient, bool zeroForOne, uint256 amountIn, Progress memory progress) private {
        int256 paid = int256(amountIn - progress.remaining);
        int256 received = -int256(progress.amountOut);
        (int256 amount0, int256 amount1) = zeroForOne ? (paid, received) : (received, paid);
        emit Swap(msg.sender, recipient, amount0, amount1, progress.price, progress.liquidity, progress.tick);
    }

    function _step(Progress memory progress, bool zeroForOne, uint160 priceLimit, Slot0 memory start) private {
        (int24 next, bool initialized) = _nextTick(progress.tick, zeroForOne);
        uint160 priceNext = MathV3.sqrtAtTick(next);
        uint160 before = progress.price;
        uint160 target = (zeroForOne ? priceNext < priceLimit : priceNext > priceLimit) ? priceLimit : priceNext;
        uint256 used;
        uint256 received;
        uint256 fee;
        (progress.price, used, received, fee) =
            MathV3.step(before, target, progress.liquidity, progress.remaining, FEE);
        progress.remaining -= used + fee;
        progress.amountOut += received;
        unchecked {
            if (progress.liquidity > 0) progress.feeGrowth += MathV3.mulDiv(fee, 2 ** 128, progress.liquidity);
        }
        if (progress.price == priceNext) {
            if (initialized) _cross(next, progress, zeroForOne, start);
            progress.tick = zeroForOne ? next - 1 : next;
        } else if (progress.price != before) {
            progress.tick = MathV3.tickAtSqrt(progress.price);
        }
    }

    function _cross(int24 next, Progress memory progress, bool zeroForOne, Slot0 memory start) private {
        Observation memory last = observations[start.observationIndex];
        uint256 growth0 = zeroForOne ? progress.feeGrowth : feeGrowthGlobal0X128;
        uint256 growth1 = zeroForOne ? feeGrowthGlobal1X128 : progress.feeGrowth;
        Tick storage tick = ticks[next];
        unchecked {
            uint32 elapsed = uint32(block.timestamp) - last.blockTimestamp;
            tick.feeGrowthOutside0X128 = growth0 - tick.feeGrowthOutside0X128;
            tick.feeGrowthOutside1X128 = growth1 - tick.feeGrowthOutside1X128;
            tick.tickCumulativeOutside =
                last.tickCumulative + int56(start.tick) * int56(uint56(elapsed)) - tick.tickCumulativeOutside;
            tick.secondsPerLiquidityOutsideX128 =
                last.secondsPerLiquidityCumulativeX128 - tick.secondsPerLiquidityOutsideX128;
            tick.secondsOutside = uint32(block.timestamp) - tick.secondsOutside;
        }
        int128 net = tick.liquidityNet;
        progress.liquidity = uint128(int128(progress.liquidity) + (zeroForOne ? -net : net));
    }

    /// The next initialized tick in one word of the bitmap, or the word's last tick.
    function _nextTick(int24 tick, bool down) private view returns (int24 next, bool initialized) {
        unchecked {
            int24 compressed = tick / SPACING;
            if (tick < 0 && tick % SPACING != 0) --compressed;
            if (!down) ++compressed;
            uint8 bit = uint8(uint24(compressed));
            uint256 word = tickBitmap[int16(compressed >> 8)];
            if (down) {
                word &= type(uint256).max >> (255 - bit);
                initialized = word != 0;
                uint256 distance = initialized ? bit - MathV3.highestBit(word) : bit;
                next = (compressed - int24(uint24(distance))) * SPACING;
            } else {
                word &= type(uint256).max << bit;
                initialized = word != 0;
                uint256 distance = (initialized ? MathV3.highestBit(word & (0 - word)) : 255) - bit;
                next = (compressed + int24(uint24(distance))) * SPACING;
            }
        }
    }

    function _observe(Slot0 memory start, uint128 active) private returns (uint16 index, uint16 cardinality) {
        Observation memory last = observations[start.observationIndex];
        uint32 timestamp = uint32(block.timestamp);
        if (last.blockTimestamp == timestamp) return (start.observationIndex, start.observationCardinality);
        cardinality = start.observationCardinalityNext;
        unchecked {
            index = (start.observationIndex + 1) % cardinality;
            uint32 elapsed = timestamp - last.blockTimestamp;
            observations[index] = Observation({
                blockTimestamp: timestamp,
                tickCumulative: last.tickCumulative + int56(start.tick) * int56(uint56(elapsed)),
                secondsPerLiquidityCumulativeX128: last.secondsPerLiquidityCumulativeX128
                    + (uint160(elapsed) << 128) / (active > 0 ? active : 1),
                initialized: true
            });
        }
    }

    function _pay(address recipient, bool zeroForOne, uint256 amountIn, uint256 amountOut, bytes calldata data) private {
        (IERC20 tokenIn, IERC20 tokenOut) = zeroForOne ? (token0, token1) : (token1, token0);
        require(tokenOut.transfer(recipient, amountOut), "TRANSFER_FAILED");
        uint256 before = tokenIn.balanceOf(address(this));
        ISwapCallback(msg.sender).swapCallback(amountIn, data);
        require(tokenIn.balanceOf(address(this)) >= before + amountIn, "INSUFFICIENT_INPUT_AMOUNT");
    }
}
