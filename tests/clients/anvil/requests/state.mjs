// Accounts, slots, proofs, and calls that write nothing.
import { addresses, alice, bob, carol, nobody, ofSubject, tokenInterface } from "../world.mjs";

const hex = (number) => `0x${number.toString(16)}`;
const word = (number) => `0x${number.toString(16).padStart(64, "0")}`;
const rich = "0x3635c9adc5dea00000";
// Answers with the balance of the caller.
const balanceCode = "0x33315f5260205ff3";
// Answers with number, timestamp, gas limit and base fee of the block.
const blockCode = "0x435f52426020524560405248606052" + "60805ff3";

const accounts = [alice.address, bob.address, carol.address, nobody, addresses.token, addresses.subject];

function* reads({ firstBlock, blockHashes }) {
    for (const address of accounts) {
        yield ["eth_getBalance", [address, "latest"]];
        yield ["eth_getBalance", [address, hex(firstBlock + 6)]];
        yield ["eth_getTransactionCount", [address, "latest"]];
        yield ["eth_getCode", [address, "latest"]];
    }
    for (const slot of ["0x0", word(0), word(1)]) {
        yield ["eth_getStorageAt", [addresses.subject, slot, "latest"]];
        yield ["eth_getStorageAt", [addresses.subject, slot, hex(firstBlock + 4)]];
    }
    const blockHash = blockHashes[firstBlock + 2];
    yield ["eth_getBalance", [nobody, { blockHash }]];
    yield ["eth_getBalance", [nobody, { blockHash, requireCanonical: true }]];
    yield ["eth_getBalance", [nobody, { blockNumber: hex(firstBlock) }]];
    yield ["eth_getBalance", [nobody, "0xffffff"]];
    yield ["eth_getBalance", [nobody, "earliest"]];
    yield ["eth_getBalance", [nobody, "pending"]];
    yield ["eth_getBalance", ["0x12", "latest"]];
    yield ["eth_getBalance", [nobody, "newest"]];
    yield ["eth_getBalance", []];
    yield ["eth_getStorageAt", [addresses.subject, "0xzz", "latest"]];
    yield ["eth_getProof", [addresses.subject, [word(0), word(999)], "latest"]];
    yield ["eth_getProof", [addresses.token, [word(0), word(1)], hex(firstBlock + 5)]];
    yield ["eth_getProof", [addresses.token, ["0x0"], hex(firstBlock + 5)]];
    yield ["eth_getProof", [nobody, [], "latest"]];
    yield ["eth_getProof", ["0x00000000000000000000000000000000000000ff", [word(1)], "latest"]];
}

/** Calls that succeed or fail in their own way. */
const calls = [
    { to: addresses.token, data: tokenInterface.encodeFunctionData("balanceOf", [bob.address]) },
    { to: addresses.token, data: tokenInterface.encodeFunctionData("transfer", [bob.address, 5n]) },
    { to: addresses.token, data: tokenInterface.encodeFunctionData("transfer", [bob.address, 10n ** 20n]) },
    { to: addresses.token, data: tokenInterface.encodeFunctionData("transferFrom", [carol.address, bob.address, 5n]) },
    ...[
        ["write", 10, 3],
        ["clear", 1],
        ["say", 2],
        ["nested", 5],
        ["create", 2],
        ["create", 1],
        ["tolerate"],
        ["refuse", 3],
        ["explain"],
        ["silence"],
        ["panic", 0],
        ["panic", 1],
        ["invalid"],
        ["hash", "0x1234"],
    ].map((call) => ofSubject(...call)),
    { ...ofSubject("overrun"), gas: "0x186a0" },
    { ...ofSubject("say", 1), value: "0x1" },
    { to: nobody, value: "0x5" },
    { to: nobody, value: hex(10n ** 30n) },
    { to: nobody, input: "0x1234" },
    { to: nobody, gas: "0x5207" },
    { data: "0x602a5f5260205ff3" },
    { to: "0x0000000000000000000000000000000000000004", data: "0xabcd" },
    { to: bob.address, data: ofSubject("hash", "0x").data },
    { to: nobody, gasPrice: "0x1" },
    { to: nobody, maxFeePerGas: "0x2540be400", maxPriorityFeePerGas: "0x1" },
    { to: nobody, maxFeePerGas: "0x1", maxPriorityFeePerGas: "0x2" },
    { to: nobody, gasPrice: "0x2540be400", maxFeePerGas: "0x2540be400" },
    { to: nobody, data: "0x12", input: "0x34" },
].map((call) => ({ from: alice.address, ...call }));

const overridden = [
    [{ from: bob.address, to: nobody }, "latest", { [nobody]: { code: balanceCode }, [bob.address]: { balance: rich } }],
    [{ from: nobody, to: alice.address, value: rich }, "latest", { [nobody]: { balance: rich } }],
    [ofSubject("nested", 0), "latest", { [addresses.subject]: { stateDiff: { [word(0)]: word(41) } } }],
    [ofSubject("nested", 0), "latest", { [addresses.subject]: { state: { [word(5)]: word(41) } } }],
    [ofSubject("nested", 0), "latest", { [addresses.subject]: { state: {}, stateDiff: {} } }],
];

function* simulations({ firstBlock }) {
    for (const call of calls) {
        yield ["eth_call", [call, "latest"]];
        yield ["eth_estimateGas", [call, "latest"]];
    }
    yield ["eth_call", [calls[0], hex(firstBlock + 3)]];
    yield ["eth_call", [calls[0], hex(firstBlock + 2)]];
    yield ["eth_call", [calls[0]]];
    yield ["eth_call", [calls[0], "0xffffff"]];
    yield ["eth_call", [{ to: "0x12" }, "latest"]];
    for (const params of overridden) {
        yield ["eth_call", params];
        yield ["eth_estimateGas", params];
    }
    const blockOverride = { number: "0x1234", time: "0x77359400", gasLimit: "0x989680", baseFeePerGas: "0x0" };
    yield ["eth_call", [{ to: nobody }, "latest", { [nobody]: { code: blockCode } }, blockOverride]];
    for (const call of [calls[1], calls[4], calls[8], calls[11], { from: alice.address, to: nobody }]) {
        yield ["eth_createAccessList", [call, "latest"]];
    }
    const payment = { from: alice.address, to: nobody, value: "0x1" };
    const blockStateCalls = [{ calls: [calls[1], calls[0], calls[2]] }, { calls: [calls[6], payment] }];
    yield ["eth_simulateV1", [{ blockStateCalls, traceTransfers: true }, "latest"]];
    yield ["eth_simulateV1", [{ blockStateCalls: [{ calls: [{ ...payment, from: nobody, value: rich }] }] }, "latest"]];
    yield ["eth_simulateV1", [{ blockStateCalls: [] }, "latest"]];
}

/** `[method, params]` for one of the worlds. */
export function* state(world) {
    yield* reads(world);
    yield* simulations(world);
}
