// Uniswap v2 and v3 as they were published, bytecode and all: pools are made, and trades give what the formulas say.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { before, test } from "node:test";
import { getAddress, parseEther } from "viem";
import { client, deploy, succeeded, wallet } from "./chain.mjs";
import { compileToken } from "./devnet.mjs";

const require = createRequire(import.meta.url);
const [maker, trader] = [wallet(10), wallet(11)];
const [makerAddress, traderAddress] = [maker.account.address, trader.account.address];
const deadline = 4_000_000_000n;
const artifact = (path) => require(`@uniswap/${path}.json`);

const read = (contract, functionName, ...args) => client.readContract({ ...contract, functionName, args });
const write = (by, contract, functionName, args, fields = {}) =>
    succeeded(by.writeContract({ ...contract, functionName, args, ...fields }));
// Trades cost more gas in a later second than in the one that they are estimated in: pools then add up their prices.
const gas = 500_000n;
const balance = (token, holder) => read(token, "balanceOf", holder);

let weth, token;

before(async () => {
    const { abi, bytecode } = artifact("v2-periphery/build/WETH9");
    weth = await deploy(maker, { abi, bytecode: `0x${bytecode}` });
    token = await deploy(maker, compileToken(), [parseEther("1000000")]);
});

/** What v2 gives for an amount: the product of the reserves stays, less 0.3 %. */
function v2AmountOut(amount, reserveIn, reserveOut) {
    const afterFee = amount * 997n;
    return (afterFee * reserveOut) / (reserveIn * 1000n + afterFee);
}

test("v2: ether for tokens through the router, to the last wei", async () => {
    const factoryCode = artifact("v2-core/build/UniswapV2Factory");
    const factory = await deploy(maker, { abi: factoryCode.abi, bytecode: `0x${factoryCode.bytecode}` }, [makerAddress]);
    const routerCode = artifact("v2-periphery/build/UniswapV2Router02");
    const router = await deploy(maker, { abi: routerCode.abi, bytecode: `0x${routerCode.bytecode}` }, [
        factory.address,
        weth.address,
    ]);
    const [tokens, ether] = [parseEther("5000"), parseEther("10")];
    await write(maker, token, "approve", [router.address, tokens]);
    // The router computes the pair's address from the hash of its code: what CREATE2 made is where it looks.
    await write(maker, router, "addLiquidityETH", [token.address, tokens, tokens, ether, makerAddress, deadline], { value: ether });
    const pair = { abi: artifact("v2-core/build/UniswapV2Pair").abi, address: await read(factory, "getPair", token.address, weth.address) };

    const paid = parseEther("0.25");
    const path = [weth.address, token.address];
    const expected = v2AmountOut(paid, ether, tokens);
    assert.deepEqual(await read(router, "getAmountsOut", paid, path), [paid, expected]);
    const before = await balance(token, traderAddress);
    await write(trader, router, "swapExactETHForTokens", [expected, path, traderAddress, deadline], { value: paid, gas });
    assert.equal((await balance(token, traderAddress)) - before, expected);
    const reserves = (await read(pair, "getReserves")).slice(0, 2);
    const ordered = (await read(pair, "token0")) === getAddress(token.address) ? reserves : reserves.toReversed();
    assert.deepEqual(ordered, [tokens - expected, ether + paid]);

    await assert.rejects(
        client.simulateContract({
            ...router,
            functionName: "swapExactETHForTokens",
            args: [expected, path, traderAddress, deadline],
            value: paid,
            account: trader.account,
        }),
        /INSUFFICIENT_OUTPUT_AMOUNT/,
    );
});

const Q96 = 2n ** 96n;
const roundUp = (numerator, denominator) => (numerator + denominator - 1n) / denominator;

/** What v3 gives within one tick range at price 1: Uniswap's SqrtPriceMath, for token0 in and a fee of 0.3 %. */
function v3AmountOut(amount, liquidity) {
    const afterFee = (amount * 997_000n) / 1_000_000n;
    const numerator = liquidity << 96n;
    const next = roundUp(numerator * Q96, numerator + afterFee * Q96);
    return (liquidity * (Q96 - next)) / Q96;
}

test("v3: liquidity over all ticks, quoted and traded to the last wei", async () => {
    const periphery = (name) => artifact(`v3-periphery/artifacts/contracts/${name}`);
    const factory = await deploy(maker, artifact("v3-core/artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory"));
    const around = [factory.address, weth.address];
    const positions = await deploy(
        maker,
        periphery("NonfungiblePositionManager.sol/NonfungiblePositionManager"),
        [...around, factory.address],
    );
    const router = await deploy(maker, periphery("SwapRouter.sol/SwapRouter"), around);
    const quoter = await deploy(maker, periphery("lens/QuoterV2.sol/QuoterV2"), around);

    const deposit = parseEther("100");
    await write(maker, weth, "deposit", [], { value: deposit });
    for (const coin of [weth, token]) await write(maker, coin, "approve", [positions.address, deposit]);
    const sorted = [weth.address, token.address].map((a) => a.toLowerCase()).sort();
    const [token0, token1] = sorted;
    const fee = 3000;
    await write(maker, positions, "createAndInitializePoolIfNecessary", [token0, token1, fee, Q96]);
    const range = { tickLower: -887_220, tickUpper: 887_220 };
    const amounts = { amount0Desired: deposit, amount1Desired: deposit, amount0Min: 0n, amount1Min: 0n };
    await write(maker, positions, "mint", [{ token0, token1, fee, ...range, ...amounts, recipient: makerAddress, deadline }]);
    const pool = {
        abi: artifact("v3-core/artifacts/contracts/UniswapV3Pool.sol/UniswapV3Pool").abi,
        address: await read(factory, "getPool", token0, token1, fee),
    };
    const liquidity = await read(pool, "liquidity");

    const [coin0, coin1] = sorted.map((address) => ({ abi: token.abi, address }));
    const amountIn = parseEther("3");
    const expected = v3AmountOut(amountIn, liquidity);
    const asked = { tokenIn: token0, tokenOut: token1, fee, amountIn, sqrtPriceLimitX96: 0n };
    const { result } = await client.simulateContract({ ...quoter, functionName: "quoteExactInputSingle", args: [asked] });
    assert.equal(result[0], expected);
    await fund(coin0, amountIn);
    await write(trader, coin0, "approve", [router.address, amountIn]);
    const before = await balance(coin1, traderAddress);
    const trade = { ...asked, recipient: traderAddress, deadline, amountOutMinimum: expected };
    await write(trader, router, "exactInputSingle", [trade], { gas });
    assert.equal((await balance(coin1, traderAddress)) - before, expected);
    const swaps = await client.getContractEvents({ ...pool, eventName: "Swap", fromBlock: 0n });
    assert.deepEqual(swaps.map(({ args }) => [args.amount0, args.amount1]), [[amountIn, -expected]]);
});

/** Gives the trader that much of a coin of the pool. */
async function fund(coin, amount) {
    const isWeth = getAddress(coin.address) === getAddress(weth.address);
    await (isWeth ? write(trader, weth, "deposit", [], { value: amount }) : write(maker, token, "transfer", [traderAddress, amount]));
}
