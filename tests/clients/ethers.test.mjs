// ethers 6: transfer, deploy, call, logs, reverts, new heads.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ContractFactory, WebSocketProvider, formatEther, getAddress, isError, parseEther } from "ethers";
import { account, compileToken, connect, webSocketUrl } from "./devnet.mjs";

const supply = 1_000_000n;
const stranger = getAddress("0x00000000000000000000000000000000000057a9");
let provider, wallet, token;

before(async () => {
    provider = connect();
    wallet = account(0).connect(provider);
    const { abi, bytecode } = compileToken();
    token = await new ContractFactory(abi, bytecode, wallet).deploy(supply);
    await token.waitForDeployment();
});

after(() => provider.destroy());

test("the chain is the one that tools expect", async () => {
    assert.equal((await provider.getNetwork()).chainId, 31337n);
    assert.ok((await provider.getBlock("latest")).number >= 0);
    assert.equal((await provider.getBlock("finalized")).nonce, "0x0000000000000000");
});

test("a transfer moves ether, and costs what its receipt says", async () => {
    const before = await provider.getBalance(wallet.address);
    const receipt = await (await wallet.sendTransaction({ to: stranger, value: parseEther("1.5") })).wait();
    assert.equal(receipt.status, 1);
    assert.equal(receipt.gasUsed, 21_000n);
    assert.equal(formatEther(await provider.getBalance(stranger)), "1.5");
    const spent = before - (await provider.getBalance(wallet.address));
    assert.equal(spent, parseEther("1.5") + receipt.gasUsed * receipt.gasPrice);
});

test("the token is deployed, answers calls, and moves", async () => {
    assert.equal(await token.symbol(), "HTT");
    assert.equal(await token.totalSupply(), supply);
    await (await token.transfer(stranger, 250n)).wait();
    assert.equal(await token.balanceOf(stranger), 250n);
    await (await token.approve(account(1).address, 40n)).wait();
    const spender = token.connect(account(1).connect(provider));
    await (await spender.transferFrom(wallet.address, stranger, 40n)).wait();
    assert.equal(await token.balanceOf(stranger), 290n);
});

test("its logs are found by address, topic and range", async () => {
    const receipt = await (await token.transfer(account(2).address, 7n)).wait();
    const found = await token.queryFilter(token.filters.Transfer(null, account(2).address), 0, "latest");
    assert.equal(found.length, 1);
    assert.equal(found[0].transactionHash, receipt.hash);
    assert.equal(found[0].blockHash, receipt.blockHash);
    assert.equal(found[0].args.value, 7n);
    const none = await token.queryFilter(token.filters.Transfer(null, account(2).address), 0, receipt.blockNumber - 1);
    assert.deepEqual(none, []);
});

test("a revert gives its reason, as text and as a custom error", async () => {
    await assert.rejects(token.transfer.staticCall(stranger, supply + 1n), (error) => {
        assert.ok(isError(error, "CALL_EXCEPTION"));
        assert.equal(error.reason, "balance too low");
        return true;
    });
    await assert.rejects(token.transferFrom.staticCall(stranger, wallet.address, 5n), (error) => {
        assert.equal(error.revert?.name, "InsufficientAllowance");
        assert.deepEqual(Array.from(error.revert.args), [0n, 5n]);
        return true;
    });
    // Estimation fails the same way before anything is sent.
    await assert.rejects(token.transfer(stranger, supply + 1n), /balance too low/);
});

test("a reverted transaction is mined, with status 0", async () => {
    const sent = await token.transfer(stranger, supply + 1n, { gasLimit: 100_000n });
    await assert.rejects(sent.wait(), (error) => error.receipt.status === 0);
});

test("mistakes of senders have the messages that ethers knows", async () => {
    const poor = account(77).connect(provider);
    await assert.rejects(poor.sendTransaction({ to: stranger, value: 1n }), (e) => isError(e, "INSUFFICIENT_FUNDS"));
    await assert.rejects(
        wallet.sendTransaction({ to: stranger, nonce: 0, gasLimit: 21_000n }),
        (error) => isError(error, "NONCE_EXPIRED"),
    );
});

test("new heads and logs arrive over WebSocket", async () => {
    const socket = new WebSocketProvider(webSocketUrl);
    try {
        const blocks = new Promise((resolve) => {
            const seen = [];
            socket.on("block", (number) => seen.push(number) === 3 && resolve(seen));
        });
        const listening = token.connect(socket);
        const event = new Promise((resolve) => {
            listening.on(listening.filters.Transfer(wallet.address), (payload) => resolve(payload.args.toObject()));
        });
        const [first, second, third] = await blocks;
        assert.deepEqual([second, third], [first + 1, first + 2]);
        await (await token.transfer(stranger, 11n)).wait();
        assert.deepEqual(await event, { from: wallet.address, to: stranger, value: 11n });
    } finally {
        await socket.destroy();
    }
});
