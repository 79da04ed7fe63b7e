// WebSockets whose TCP connection is reset: viem goes on by itself, ethers with a new provider, and what happened meanwhile is found.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Contract, WebSocketProvider } from "ethers";
import { createPublicClient, webSocket } from "viem";
import { chain, client, deploy, succeeded, wallet } from "./chain.mjs";
import { compileToken, url } from "./devnet.mjs";
import { startProxy } from "./proxy.mjs";

const owner = wallet(19);
const stranger = "0x00000000000000000000000000000000000ec0de";
let proxy, token;

before(async () => {
    proxy = await startProxy(url);
    token = await deploy(owner, compileToken(), [1_000n]);
});

after(() => proxy.close());

const transfer = (value) => succeeded(owner.writeContract({ ...token, functionName: "transfer", args: [stranger, value] }));

/** Values that arrive one by one: `push` them, and `until` resolves once the condition holds for all so far. */
function arrivals() {
    const seen = [];
    let wake = () => {};
    const push = (...values) => {
        seen.push(...values);
        wake();
    };
    const until = async (condition) => {
        while (!condition(seen)) await new Promise((resolve) => (wake = resolve));
        return seen;
    };
    return { push, until };
}

test("viem: subscriptions go on after the connection is reset", async () => {
    const transport = webSocket(proxy.url, { reconnect: { attempts: 50, delay: 50 }, keepAlive: false });
    const socket = createPublicClient({ chain, transport });
    const [blocks, values] = [arrivals(), arrivals()];
    const unwatch = [
        // viem has no block to tell where it asked for one on a connection that was cut.
        socket.watchBlocks({ onBlock: (block) => block && blocks.push(block.number), onError: () => {} }),
        socket.watchContractEvent({
            ...token,
            eventName: "Transfer",
            onLogs: (logs) => values.push(...logs.map(({ args }) => args.value)),
            onError: () => {},
        }),
    ];
    await blocks.until((seen) => seen.length >= 3);
    await transfer(1n);
    await values.until((seen) => seen.includes(1n));
    for (let round = 0; round < 3; round++) {
        assert.equal(proxy.cut(), 1);
        const last = (await blocks.until(() => true)).at(-1);
        await blocks.until((seen) => seen.some((number) => number >= last + 3n));
    }
    await transfer(2n);
    await values.until((seen) => seen.includes(2n));
    // viem asks for each block that it hears of, and takes the answers as they come: two may change places.
    const seen = (await blocks.until(() => true)).toSorted((one, other) => Number(one - other));
    const steps = seen.slice(1).map((number, index) => number - seen[index]);
    assert.ok(steps.every((step) => step > 0n), `none twice: ${seen}`);
    assert.ok(steps.filter((step) => step > 1n).length <= 3, `gaps only where the connection was cut: ${seen}`);
    unwatch.forEach((stop) => stop());
    (await socket.transport.getRpcClient()).close();
});

test("viem: requests that were not answered fail or are sent again, and later ones succeed", async () => {
    const transport = webSocket(proxy.url, { reconnect: { attempts: 50, delay: 50 }, retryCount: 20, retryDelay: 50 });
    const socket = createPublicClient({ chain, transport });
    assert.equal(await socket.getChainId(), 31337);
    const asked = Array.from({ length: 20 }, (_, slot) => socket.getStorageAt({ address: token.address, slot: `0x${slot}` }));
    proxy.cut();
    const answers = await Promise.allSettled(asked);
    assert.equal(answers.length, 20);
    assert.equal(await socket.getBalance({ address: stranger }), await client.getBalance({ address: stranger }));
    (await socket.transport.getRpcClient()).close();
});

test("ethers: a new provider takes over where the cut one stopped", async () => {
    const first = new WebSocketProvider(proxy.url);
    first.websocket.onerror = () => {};
    const closed = new Promise((resolve) => (first.websocket.onclose = resolve));
    const seen = arrivals();
    first.on("block", (number) => seen.push(number));
    const last = (await seen.until((numbers) => numbers.length >= 2)).at(-1);
    proxy.cut();
    await closed;
    await first.destroy();

    const { blockNumber } = await transfer(3n);
    const second = new WebSocketProvider(proxy.url);
    try {
        const contract = new Contract(token.address, token.abi, second);
        const missed = await contract.queryFilter("Transfer", last + 1);
        assert.deepEqual(missed.map(({ blockNumber }) => blockNumber), [Number(blockNumber)]);
        const event = new Promise((resolve) => contract.on("Transfer", (...args) => resolve(args.at(-1).args.value)));
        // The subscription is confirmed before a request that follows it on the same connection.
        await contract.listenerCount();
        await second.getBlockNumber();
        await transfer(4n);
        assert.equal(await event, 4n);
    } finally {
        await second.destroy();
    }
});
