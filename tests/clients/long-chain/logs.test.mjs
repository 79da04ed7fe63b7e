// Logs of 10,100 blocks, every tenth of which has one: by ethers and by viem, in as few requests as the node allows.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { JsonRpcProvider, toQuantity } from "ethers";
import { createPublicClient, http, pad, toHex } from "viem";
import { url } from "../devnet.mjs";

const head = 10_100;
const address = "0x0000000000000000000000000000000000000109";
const provider = new JsonRpcProvider(url);
const client = createPublicClient({ transport: http(url) });

after(() => provider.destroy());

/** What each log says: the number of its block. */
const logged = (logs) => logs.map(({ topics }) => Number(topics[0]));
const tens = (from, to) => Array.from({ length: (to - from) / 10 + 1 }, (_, index) => from + 10 * index);

test("ethers: ten thousand blocks in one request", async () => {
    assert.equal(await provider.getBlockNumber(), head);
    const logs = await provider.getLogs({ address, fromBlock: 1, toBlock: 10_000 });
    assert.deepEqual(logged(logs), tens(10, 10_000));
    assert.ok(logs.every(({ blockNumber, topics }) => blockNumber === Number(topics[0])));
});

test("viem: one log among ten thousand blocks, by its topic", async () => {
    const wanted = [10, 5_000, 10_090].map((number) => pad(toHex(number)));
    const range = { fromBlock: toHex(101), toBlock: toHex(head) };
    const logs = await client.request({ method: "eth_getLogs", params: [{ address, topics: [wanted], ...range }] });
    assert.deepEqual(logged(logs), [5_000, 10_090]);
    const none = { address, topics: [pad("0x5")], ...range };
    assert.deepEqual(await client.request({ method: "eth_getLogs", params: [none] }), []);
});

test("a longer range is refused with one that works, by which a client comes to the end", async () => {
    const found = [];
    let requests = 0;
    let from = 0;
    while (from <= head) {
        const { logs, next } = await asMuchAsAllowed(from, head);
        found.push(...logged(logs));
        from = next;
        requests += 1;
    }
    assert.deepEqual(found, tens(10, head));
    assert.equal(requests, 2);
});

/** The logs from a block on, as far as the node answers at once. */
async function asMuchAsAllowed(from, to) {
    const ask = (last) => provider.send("eth_getLogs", [{ address, fromBlock: toQuantity(from), toBlock: toQuantity(last) }]);
    try {
        return { logs: await ask(to), next: to + 1 };
    } catch ({ error }) {
        assert.equal(error.code, -32005);
        const [, first, last] = error.message.match(/\[(0x[0-9a-f]+), (0x[0-9a-f]+)\]/);
        assert.equal(Number(first), from);
        return { logs: await ask(Number(last)), next: Number(last) + 1 };
    }
}

test("a range beyond the head is a mistake of the caller", async () => {
    await assert.rejects(
        provider.send("eth_getLogs", [{ address, fromBlock: toQuantity(head), toBlock: toQuantity(head + 1) }]),
        ({ error }) => error.code === -32602 && /beyond current head/.test(error.message),
    );
});
