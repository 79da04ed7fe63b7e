// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// Fixed-point mathematics of a concentrated liquidity pool: prices are square roots with 96 fractional bits.
library MathV3 {
    uint256 private constant Q96 = 2 ** 96;

    /// a * b / divisor of a product of 512 bits, rounded down: the product by the Chinese remainder theorem, division
    /// by the divisor's inverse modulo 2^256 (Remco Bloemen's method).
    function mulDiv(uint256 a, uint256 b, uint256 divisor) internal pure returns (uint256 result) {
        unchecked {
            uint256 low = a * b;
            uint256 high;
            assembly {
                let mm := mulmod(a, b, not(0))
                high := sub(sub(mm, low), lt(mm, low))
            }
            if (high == 0) return low / divisor;
            require(divisor > high, "OVERFLOW");
            uint256 remainder = mulmod(a, b, divisor);
            assembly {
                high := sub(high, gt(remainder, low))
                low := sub(low, remainder)
            }
            uint256 twos = (0 - divisor) & divisor;
            divisor /= twos;
            low = (low / twos) | (high * ((0 - twos) / twos + 1));
            uint256 inverse = (3 * divisor) ^ 2;
            for (uint256 i = 0; i < 6; ++i) {
                inverse *= 2 - divisor * inverse;
            }
            return low * inverse;
        }
    }

    function mulDivUp(uint256 a, uint256 b, uint256 divisor) internal pure returns (uint256 result) {
        result = mulDiv(a, b, divisor);
        if (mulmod(a, b, divisor) != 0) ++result;
    }

    /// sqrt(1.0001^tick), for ticks of at most 15 bits: the product of the powers whose bits are set.
    function sqrtAtTick(int24 tick) internal pure returns (uint160) {
        unchecked {
            uint256 size = uint256(int256(tick < 0 ? -tick : tick));
            require(size < 2 ** 15, "TICK");
            uint256 ratio = 2 ** 128;
            if (size & 0x1 != 0) ratio = 0xfffcb933bd6fad37aa2d162d1a594001;
            if (size & 0x2 != 0) ratio = (ratio * 0xfff97272373d413259a46990580e213a) >> 128;
            if (size & 0x4 != 0) ratio = (ratio * 0xfff2e50f5f656932ef12357cf3c7fdcc) >> 128;
            if (size & 0x8 != 0) ratio = (ratio * 0xffe5caca7e10e4e61c3624eaa0941cd0) >> 128;
            if (size & 0x10 != 0) ratio = (ratio * 0xffcb9843d60f6159c9db58835c926644) >> 128;
            if (size & 0x20 != 0) ratio = (ratio * 0xff973b41fa98c081472e6896dfb254c0) >> 128;
            if (size & 0x40 != 0) ratio = (ratio * 0xff2ea16466c96a3843ec78b326b52861) >> 128;
            if (size & 0x80 != 0) ratio = (ratio * 0xfe5dee046a99a2a811c461f1969c3053) >> 128;
            if (size & 0x100 != 0) ratio = (ratio * 0xfcbe86c7900a88aedcffc83b479aa3a4) >> 128;
            if (size & 0x200 != 0) ratio = (ratio * 0xf987a7253ac413176f2b074cf7815e54) >> 128;
            if (size & 0x400 != 0) ratio = (ratio * 0xf3392b0822b70005940c7a398e4b70f3) >> 128;
            if (size & 0x800 != 0) ratio = (ratio * 0xe7159475a2c29b7443b29c7fa6e889d9) >> 128;
            if (size & 0x1000 != 0) ratio = (ratio * 0xd097f3bdfd2022b8845ad8f792aa5825) >> 128;
            if (size & 0x2000 != 0) ratio = (ratio * 0xa9f746462d870fdf8a65dc1f90e061e5) >> 128;
            if (size & 0x4000 != 0) ratio = (ratio * 0x70d869a156d2a1b890bb3df62baf32f7) >> 128;
            if (tick > 0) ratio = type(uint256).max / ratio;
            return uint160((ratio + 2 ** 32 - 1) >> 32);
        }
    }

    /// The greatest tick whose price is at most `price`: a logarithm with 14 fractional bits, then corrected.
    function tickAtSqrt(uint160 price) internal pure returns (int24 tick) {
        unchecked {
            uint256 msb = highestBit(price);
            uint256 r = msb >= 127 ? price >> (msb - 127) : uint256(price) << (127 - msb);
            int256 log2 = (int256(msb) - 96) << 64;
            for (uint256 i = 0; i < 14; ++i) {
                r = (r * r) >> 127;
                uint256 bit = r >> 128;
                log2 |= int256(bit << (63 - i));
                r >>= bit;
            }
            tick = int24((log2 * 255738958999603826347141) >> 128);
            if (sqrtAtTick(tick + 1) <= price) ++tick;
            else if (sqrtAtTick(tick) > price) --tick;
        }
    }

    /// Index of the highest bit of a nonzero value.
    function highestBit(uint256 value) internal pure returns (uint256 bit) {
        unchecked {
            for (uint256 width = 128; width != 0; width >>= 1) {
                if (value >> width != 0) {
                    value >>= width;
                    bit += width;
                }
            }
        }
    }

    /// Token 0 between two prices; `a` is the lower one.
    function amount0(uint160 a, uint160 b, uint128 liquidity, bool up) internal pure returns (uint256) {
        uint256 scaled = uint256(liquidity) << 96;
        if (!up) return mulDiv(scaled, b - a, b) / a;
        return (mulDivUp(scaled, b - a, b) + a - 1) / a;
    }

    /// Token 1 between two prices; `a` is the lower one.
    function amount1(uint160 a, uint160 b, uint128 liquidity, bool up) internal pure returns (uint256) {
        return up ? mulDivUp(liquidity, b - a, Q96) : mulDiv(liquidity, b - a, Q96);
    }

    /// The price after `amountIn` is paid in.
    function priceAfter(uint160 price, uint128 liquidity, uint256 amountIn, bool zeroForOne)
        internal
        pure
        returns (uint160)
    {
        if (!zeroForOne) return uint160(price + mulDiv(amountIn, Q96, liquidity));
        uint256 scaled = uint256(liquidity) << 96;
        return uint160(mulDivUp(scaled, price, scaled + amountIn * price));
    }

    /// One step towards `target` with at most `remaining` of input, of which `fee` millionths are kept.
    function step(uint160 price, uint160 target, uint128 liquidity, uint256 remaining, uint24 fee)
        internal
        pure
        returns (uint160 next, uint256 amountIn, uint256 amountOut, uint256 feeAmount)
    {
        bool zeroForOne = price >= target;
        uint256 lessFee = mulDiv(remaining, 1e6 - fee, 1e6);
        amountIn = zeroForOne ? amount0(target, price, liquidity, true) : amount1(price, target, liquidity, true);
        next = lessFee >= amountIn ? target : priceAfter(price, liquidity, lessFee, zeroForOne);
        if (next != target) {
            amountIn = zeroForOne ? amount0(next, price, liquidity, true) : amount1(price, next, liquidity, true);
        }
        amountOut = zeroForOne ? amount1(next, price, liquidity, false) : amount0(price, next, liquidity, false);
        feeAmount = next != target ? remaining - amountIn : mulDivUp(amountIn, fee, 1e6 - fee);
    }
}
