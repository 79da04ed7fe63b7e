// The chain, its blocks and its transactions.
import { carol } from "../world.mjs";

const hex = (number) => `0x${number.toString(16)}`;
const missing = `0x${"ab".repeat(32)}`;

const facts = [
    ["eth_chainId", []],
    ["net_version", []],
    ["net_listening", []],
    ["eth_blockNumber", []],
    ["eth_gasPrice", []],
    ["eth_maxPriorityFeePerGas", []],
    ["eth_blobBaseFee", []],
    ["eth_syncing", []],
    ["web3_sha3", ["0x68656464"]],
    ["eth_feeHistory", ["0x4", "latest", [0, 50, 100]]],
    ["eth_feeHistory", ["0x1", "0x3", []]],
    ["eth_feeHistory", ["0x64", "0x5", [25]]],
    ["eth_feeHistory", ["0x2", "latest"]],
    ["eth_feeHistory", ["0x2", "latest", [50, 10]]],
    ["eth_feeHistory", ["0x2", "latest", [101]]],
    ["eth_feeHistory", ["0x2", "0xffff", [1]]],
];

const tags = ["earliest", "latest", "safe", "finalized"];

function* blocks({ head, last, blockHashes }) {
    for (const number of [...tags, ...blockHashes.keys()].map((id) => (typeof id === "number" ? hex(id) : id))) {
        yield ["eth_getBlockByNumber", [number, false]];
        yield ["eth_getBlockTransactionCountByNumber", [number]];
    }
    for (let number = 0; number <= head; number += 4) {
        yield ["eth_getBlockByNumber", [hex(number), true]];
        yield ["eth_getBlockByHash", [blockHashes[number], true]];
        yield ["eth_getBlockReceipts", [hex(number)]];
    }
    const lastHash = blockHashes[last];
    yield ["eth_getBlockByHash", [lastHash, false]];
    yield ["eth_getBlockReceipts", [hex(last)]];
    yield ["eth_getBlockReceipts", [lastHash]];
    yield ["eth_getBlockTransactionCountByHash", [lastHash]];
    yield ["eth_getUncleCountByBlockNumber", ["latest"]];
    yield ["eth_getUncleCountByBlockHash", [lastHash]];
    yield ["eth_getUncleByBlockNumberAndIndex", ["latest", "0x0"]];
    for (const method of ["eth_getBlockByHash", "eth_getBlockByNumber"]) {
        yield [method, [method.endsWith("Hash") ? missing : "0xffffff", false]];
    }
    yield ["eth_getBlockTransactionCountByHash", [missing]];
    yield ["eth_getBlockTransactionCountByNumber", ["0xffffff"]];
    yield ["eth_getBlockReceipts", ["0xffffff"]];
}

function* transactions({ hashes, last, blockHashes }) {
    for (const hash of hashes) {
        yield ["eth_getTransactionByHash", [hash]];
        yield ["eth_getTransactionReceipt", [hash]];
    }
    yield ["eth_getRawTransactionByHash", [hashes[0]]];
    for (const method of ["eth_getTransactionByHash", "eth_getTransactionReceipt"]) yield [method, [missing]];
    for (const index of ["0x0", "0x1", "0x2"]) {
        yield ["eth_getTransactionByBlockNumberAndIndex", [hex(last), index]];
        yield ["eth_getTransactionByBlockHashAndIndex", [blockHashes[last], index]];
    }
    yield ["eth_getTransactionByBlockNumberAndIndex", ["0xffffff", "0x0"]];
    yield ["eth_getTransactionCount", [carol.address, "pending"]];
}

/** `[method, params]` for one of the worlds. */
export function* chain(world) {
    yield* facts;
    yield* blocks(world);
    yield* transactions(world);
}
