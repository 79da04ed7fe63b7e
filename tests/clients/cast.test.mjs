// Foundry's cast: the commands of the README's tour.
import assert from "node:assert/strict";
import { test } from "node:test";
import { account, compileToken, url } from "./devnet.mjs";
import { cannotRun, foundry } from "./foundry.mjs";

const skip = await cannotRun("cast");
const stranger = "0x0000000000000000000000000000000000000ca5";
const key = account(5).privateKey;

const cast = (command, ...args) => foundry("cast", [command, "--rpc-url", url, ...args]);

/** Runs `cast send` and returns the receipt. */
async function send(...args) {
    const receipt = JSON.parse(await cast("send", "--json", "--private-key", key, ...args));
    assert.equal(receipt.status, "0x1");
    return receipt;
}

test("transfer", { skip }, async () => {
    assert.equal(await cast("chain-id"), "31337");
    await send(stranger, "--value", "0.25ether");
    assert.equal(await cast("balance", "--ether", stranger), "0.250000000000000000");
    assert.equal(await cast("nonce", account(5).address), "1");
});

test("deploy, send, call and logs", { skip }, async () => {
    const { bytecode } = compileToken();
    const { contractAddress } = await send("--create", bytecode, "constructor(uint256)", "5000");
    await send(contractAddress, "transfer(address,uint256)", stranger, "42");
    assert.equal(await cast("call", contractAddress, "balanceOf(address)(uint256)", stranger), "42");
    const logs = JSON.parse(await cast("logs", "--json", "--from-block", "0", "--address", contractAddress));
    assert.equal(logs.length, 2);
    await assert.rejects(
        cast("call", contractAddress, "transfer(address,uint256)", stranger, "42", "--from", account(6).address),
        /balance too low/,
    );
});

test("blocks and receipts", { skip }, async () => {
    const { transactionHash, blockNumber } = await send(stranger, "--value", "1");
    const number = Number(blockNumber).toString();
    assert.match(await cast("block", number), new RegExp(transactionHash));
    assert.equal(JSON.parse(await cast("receipt", "--json", transactionHash)).blockNumber, blockNumber);
    assert.ok(Number(await cast("block-number")) >= Number(number));
});
