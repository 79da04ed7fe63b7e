// viem: what applications ask most, its wallets, filters, simulations and multicall.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { ContractFunctionRevertedError, encodeFunctionData, getAddress, pad, parseEther, parseEventLogs } from "viem";
import { client, deploy, succeeded, wallet } from "./chain.mjs";
import { compileToken } from "./devnet.mjs";

const supply = 1_000_000n;
const owner = wallet(7);
const stranger = getAddress("0x0000000000000000000000000000000000007e57");
let token;

before(async () => {
    token = await deploy(owner, compileToken(), [supply]);
});

const transfer = (value) => ({ ...token, functionName: "transfer", args: [stranger, value] });
const balanceOf = (holder) => ({ ...token, functionName: "balanceOf", args: [holder] });

test("fees, history and blocks have the shapes that viem reads", async () => {
    assert.equal(await client.getChainId(), 31337);
    const fees = await client.estimateFeesPerGas();
    assert.ok(fees.maxFeePerGas > fees.maxPriorityFeePerGas);
    const history = await client.getFeeHistory({ blockCount: 2, rewardPercentiles: [10, 90] });
    assert.equal(history.reward.length, 2);
    assert.equal(history.baseFeePerGas.length, 3);
    const block = await client.getBlock({ includeTransactions: true });
    assert.equal(typeof block.baseFeePerGas, "bigint");
    assert.deepEqual((await client.getBlock({ blockHash: block.hash })).hash, block.hash);
    assert.ok((await client.getBlock({ blockTag: "safe" })).number >= block.number);
});

test("a transfer is prepared, sent and received", async () => {
    const receipt = await succeeded(owner.sendTransaction({ to: stranger, value: parseEther("0.5") }));
    assert.equal(receipt.gasUsed, 21_000n);
    assert.equal(await client.getBalance({ address: stranger }), parseEther("0.5"));
    const transaction = await client.getTransaction({ hash: receipt.transactionHash });
    assert.equal(transaction.type, "eip1559");
    assert.ok((await client.getTransactionConfirmations({ transactionReceipt: receipt })) > 0n);
    const receipts = await client.request({ method: "eth_getBlockReceipts", params: [receipt.blockHash] });
    assert.ok(receipts.some(({ transactionHash }) => transactionHash === receipt.transactionHash));
});

test("a transaction is sent and its receipt answered in one request", async () => {
    const receipt = await owner.sendTransactionSync({ to: stranger, value: 1n });
    assert.equal(receipt.status, "success");
    assert.equal((await client.getTransactionReceipt({ hash: receipt.transactionHash })).blockHash, receipt.blockHash);
});

test("a contract is simulated, written and read", async () => {
    const { request, result } = await client.simulateContract({ ...transfer(9n), account: owner.account });
    assert.equal(result, true);
    const { logs } = await succeeded(owner.writeContract(request));
    assert.deepEqual(parseEventLogs({ ...token, logs })[0].args, { from: owner.account.address, to: stranger, value: 9n });
    assert.equal(await client.readContract(balanceOf(stranger)), 9n);
});

test("reverts are decoded, as reasons and as custom errors", async () => {
    const reason = (promise) =>
        promise.then(
            () => assert.fail("it should revert"),
            (error) => error.walk((cause) => cause instanceof ContractFunctionRevertedError),
        );
    const { account } = owner;
    assert.equal((await reason(client.simulateContract({ ...transfer(supply + 1n), account }))).reason, "balance too low");
    const pull = { ...token, functionName: "transferFrom", args: [stranger, account.address, 5n] };
    const error = await reason(client.simulateContract({ ...pull, account }));
    assert.equal(error.data.errorName, "InsufficientAllowance");
    assert.deepEqual(error.data.args, [0n, 5n]);
    assert.equal((await reason(client.estimateContractGas({ ...transfer(supply + 1n), account }))).reason, "balance too low");
});

test("events are found by range, and by filters that forget what they told", async () => {
    // Without a block to begin at, all logs of a filter are those of the latest block only.
    const fromBlock = (await client.getBlockNumber()) + 1n;
    const wanted = { ...token, eventName: "Transfer", args: { to: stranger }, fromBlock };
    const filter = await client.createContractEventFilter(wanted);
    const blocks = await client.createBlockFilter();
    const { blockNumber, blockHash } = await succeeded(owner.writeContract(transfer(3n)));
    const changes = await client.getFilterChanges({ filter });
    assert.deepEqual(changes.map(({ args }) => args.value), [3n]);
    assert.deepEqual(await client.getFilterChanges({ filter }), []);
    assert.deepEqual((await client.getFilterLogs({ filter })).map(({ args }) => args.value), [3n]);
    assert.ok((await client.getFilterChanges({ filter: blocks })).includes(blockHash));
    assert.equal(await client.uninstallFilter({ filter }), true);
    assert.equal(await client.uninstallFilter({ filter }), false);
    const events = await client.getContractEvents({ ...token, eventName: "Transfer", fromBlock: blockNumber });
    assert.deepEqual(events.map(({ args }) => args.value), [3n]);
});

test("pending transactions are announced", async () => {
    const filter = await client.createPendingTransactionFilter();
    const hash = await owner.sendTransaction({ to: stranger, value: 2n });
    await succeeded(hash);
    assert.ok((await client.getFilterChanges({ filter })).includes(hash));
});

test("a call runs on a state that is made up", async () => {
    const slot = { slot: pad("0x0"), value: pad("0x0") };
    const rich = getAddress("0x000000000000000000000000000000000000f00d");
    // The code answers with the balance of its caller.
    const answer = await client.call({
        account: rich,
        to: stranger,
        stateOverride: [
            { address: rich, balance: 77n },
            { address: stranger, code: "0x33315f5260205ff3", stateDiff: [slot] },
        ],
    });
    assert.equal(BigInt(answer.data), 77n);
});

test("calls are simulated one after another, in one block or in several", async () => {
    const { account } = owner;
    const { results } = await client.simulateCalls({
        account,
        calls: [transfer(5n), balanceOf(stranger), transfer(supply * 2n)].map((call) => ({ ...call, to: token.address })),
    });
    assert.deepEqual(results.map(({ status }) => status), ["success", "success", "failure"]);
    assert.equal(results[1].result, (await client.readContract(balanceOf(stranger))) + 5n);
    const [first, second] = await client.simulateBlocks({
        blocks: [
            { blockOverrides: { time: 4_000_000_000n }, calls: [{ account: account.address, to: stranger, value: 1n }] },
            { calls: [{ account: account.address, to: token.address, ...transfer(1n) }] },
        ],
    });
    assert.equal(first.timestamp, 4_000_000_000n);
    assert.equal(second.number, first.number + 1n);
    assert.equal(second.calls[0].logs.length, 1);
});

test("an access list names the slots of a call", async () => {
    const data = encodeFunctionData(transfer(1n));
    const { accessList } = await client.createAccessList({ account: owner.account, to: token.address, data });
    assert.equal(accessList.length, 1);
    assert.equal(getAddress(accessList[0].address), getAddress(token.address));
    assert.equal(accessList[0].storageKeys.length, 2);
    await succeeded(owner.sendTransaction({ to: token.address, data, accessList }));
});

test("a storage slot and its proof agree", async () => {
    const proof = await client.getProof({ address: token.address, storageKeys: [pad("0x0")] });
    assert.equal(proof.storageProof[0].value, BigInt(await client.getStorageAt({ address: token.address, slot: "0x0" })));
    assert.equal(proof.balance, 0n);
});

test("many reads are one call: multicall3 on the chain, and without it", async () => {
    const constants = new URL("./node_modules/viem/_esm/constants/contracts.js", import.meta.url);
    const { multicall3Bytecode: bytecode } = await import(constants);
    const { address } = await deploy(owner, { abi: [], bytecode });
    const contracts = Array.from({ length: 50 }, (_, index) => balanceOf(pad(`0x${index + 1}`, { size: 20 })));
    contracts.push(balanceOf(stranger), { ...token, functionName: "transferFrom", args: [stranger, stranger, 1n] });
    for (const how of [{ multicallAddress: address }, { deployless: true }]) {
        const answers = await client.multicall({ contracts, ...how });
        assert.equal(answers.length, 52);
        assert.ok(answers.slice(0, 50).every(({ status, result }) => status === "success" && result === 0n));
        assert.ok(answers[50].result > 0n);
        assert.equal(answers[51].status, "failure");
    }
});
