// Foundry's cast over the node's Unix socket.
import assert from "node:assert/strict";
import { test } from "node:test";
import { account } from "../devnet.mjs";
import { cannotRun, foundry } from "../foundry.mjs";

const skip = await cannotRun("cast");
const stranger = "0x0000000000000000000000000000000000000ca5";

const cast = (command, ...args) => foundry("cast", [command, "--rpc-url", process.env.HEDDLE_IPC, ...args]);

test("cast asks, sends and waits over the socket", { skip }, async () => {
    assert.equal(await cast("chain-id"), "31337");
    const receipt = JSON.parse(
        await cast("send", "--json", "--private-key", account(5).privateKey, stranger, "--value", "0.25ether"),
    );
    assert.equal(receipt.status, "0x1");
    assert.equal(await cast("balance", "--ether", stranger), "0.250000000000000000");
});

test("the socket serves operators", { skip }, async () => {
    assert.equal(JSON.parse(await cast("rpc", "rpc_modules")).admin, "1.0");
    assert.deepEqual(JSON.parse(await cast("rpc", "admin_peers")), []);
    await assert.rejects(cast("rpc", "eth_nonsense"), /does not exist/);
});
