// Logs, and filters: `keep` remembers what an answer is for, `kept` puts it into later parameters.
import { addresses, alice, bob, nobody, subjectInterface, tokenInterface } from "../world.mjs";

const hex = (number) => `0x${number.toString(16)}`;
const word = (address) => `0x${address.slice(2).toLowerCase().padStart(64, "0")}`;
const transfer = tokenInterface.getEvent("Transfer").topicHash;
const said = subjectInterface.getEvent("Said").topicHash;

function* queries({ firstBlock, blockHashes, last }) {
    const all = { fromBlock: "0x0", toBlock: "latest" };
    const filters = [
        all,
        { ...all, address: addresses.token },
        { ...all, address: [addresses.token, addresses.subject] },
        { ...all, address: nobody },
        { ...all, address: [] },
        { ...all, topics: [transfer] },
        { ...all, topics: [[transfer, said]] },
        { ...all, topics: [null, word(alice.address)] },
        { ...all, topics: [transfer, null, word(bob.address)] },
        { ...all, topics: [said, [word("0x00"), word("0x02")]] },
        { ...all, topics: [] },
        { ...all, topics: [null, null, null, null] },
        { fromBlock: hex(firstBlock + 5), toBlock: hex(firstBlock + 8) },
        { blockHash: blockHashes[last] },
        { fromBlock: "latest" },
        {},
        { fromBlock: hex(last), toBlock: hex(last - 1) },
        { blockHash: blockHashes[last], fromBlock: "0x1" },
        { blockHash: `0x${"cd".repeat(32)}` },
        { ...all, topics: ["0x12"] },
        { ...all, topics: [null, null, null, null, null] },
        { fromBlock: "0xffffff", toBlock: "0xffffff" },
    ];
    for (const filter of filters) yield ["eth_getLogs", [filter]];
}

function* filters({ kept, firstBlock }) {
    yield ["eth_newFilter", [{ fromBlock: hex(firstBlock), toBlock: "latest", address: addresses.token }], "logs"];
    yield ["eth_getFilterLogs", [kept.logs]];
    yield ["eth_newBlockFilter", [], "blocks"];
    yield ["eth_getFilterChanges", [kept.blocks]];
    yield ["eth_getFilterLogs", [kept.blocks]];
    yield ["eth_newPendingTransactionFilter", [], "pending"];
    yield ["eth_getFilterChanges", [kept.pending]];
    for (const filter of [kept.logs, kept.blocks, kept.pending, kept.logs]) yield ["eth_uninstallFilter", [filter]];
    yield ["eth_getFilterChanges", [kept.logs]];
    yield ["eth_getFilterLogs", [kept.logs]];
}

/** `[method, params, keep]` for one of the worlds. */
export function* logs(world) {
    yield* queries(world);
    yield* filters(world);
}
