// The tests of Hardhat's sample project, on the devnet.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { network } from "hardhat";

const connection = await network.create("devnet");
const { viem, networkName } = connection;
after(() => connection.close());

// Blocks are faster than those of the networks that viem's interval is meant for.
const fast = { pollingInterval: 50 };
const publicClient = await viem.getPublicClient(fast);
const [wallet] = await viem.getWalletClients(fast);
const deploy = () => viem.deployContract("Counter", [], { client: { public: publicClient, wallet } });

test("the network is the devnet", async () => {
    assert.equal(networkName, "devnet");
    assert.match(await publicClient.request({ method: "web3_clientVersion" }), /^heddle/i);
    assert.equal(await publicClient.getChainId(), 31337);
    assert.equal((await viem.getWalletClients()).length, 2);
});

test("an increment emits what it added", async () => {
    const counter = await deploy();
    await viem.assertions.emitWithArgs(counter.write.inc(), counter, "Increment", [1n]);
    assert.equal(await counter.read.x(), 1n);
});

test("the sum of the events is the value", async () => {
    const counter = await deploy();
    const deployed = await publicClient.getBlockNumber();
    for (let by = 1n; by <= 5n; by++) {
        const hash = await counter.write.incBy([by]);
        await publicClient.waitForTransactionReceipt({ hash });
    }
    const events = await counter.getEvents.Increment({}, { fromBlock: deployed, strict: true });
    assert.equal(events.reduce((sum, { args }) => sum + args.by, 0n), 15n);
    assert.equal(await counter.read.x(), 15n);
});

test("a custom error is recognised, and ether moves", async () => {
    const counter = await deploy();
    await viem.assertions.revertWithCustomError(counter.write.incBy([0n]), counter, "Zero");
    const to = "0x0000000000000000000000000000000000a4d4a7";
    await viem.assertions.balancesHaveChanged(wallet.sendTransaction({ to, value: 7n }), [{ address: to, amount: 7n }]);
});
