// EIP-7702: an account that delegates to code, by viem and by ethers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Contract, ZeroAddress } from "ethers";
import { encodeFunctionData, getAddress, parseEther, parseEventLogs } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { client, deploy, succeeded, wallet } from "./chain.mjs";
import { account, compile, connect } from "./devnet.mjs";

const code = compile("Wallet.sol");
const [first, second] = ["0x00000000000000000000000000000000000077a1", "0x00000000000000000000000000000000000077a2"];
const designation = (address) => `0xef0100${address.slice(2).toLowerCase()}`;

test("viem: an account sends two calls in one transaction, and delegates no more", async () => {
    const owner = wallet(12);
    const self = owner.account.address;
    const { abi, address } = await deploy(owner, code);
    const authorization = await owner.signAuthorization({ contractAddress: address, executor: "self" });
    const calls = [first, second].map((to) => ({ to, value: parseEther("0.1"), data: "0x" }));
    const { logs, type } = await succeeded(
        owner.writeContract({ abi, address: self, functionName: "execute", args: [calls], authorizationList: [authorization] }),
    );
    assert.equal(type, "eip7702");
    assert.deepEqual(parseEventLogs({ abi, logs })[0].args, { sender: self, calls: 2n });
    assert.equal(await client.getBalance({ address: first }), parseEther("0.1"));
    assert.equal(await client.getCode({ address: self }), designation(address));
    assert.equal(await client.readContract({ abi, address: self, functionName: "executions" }), 1n);

    // The delegation stays; an estimate of a call by another account runs the code, which refuses it.
    const stranger = wallet(13).account;
    await assert.rejects(
        client.estimateContractGas({ abi, address: self, functionName: "execute", args: [[]], account: stranger }),
        /NotTheOwner/,
    );
    const none = await owner.signAuthorization({ contractAddress: ZeroAddress, executor: "self" });
    await succeeded(owner.sendTransaction({ to: self, authorizationList: [none] }));
    assert.equal(await client.getCode({ address: self }), undefined);
});

test("viem: another account pays for the delegation of one that has nothing", async () => {
    const sponsor = wallet(12);
    const { abi, address } = await deploy(sponsor, code);
    const poor = privateKeyToAccount(generatePrivateKey());
    const authorization = await poor.signAuthorization({ chainId: 31337, address, nonce: 0 });
    const { transactionHash } = await succeeded(
        sponsor.sendTransaction({ to: poor.address, value: 5n, authorizationList: [authorization] }),
    );
    assert.equal(await client.getCode({ address: poor.address }), designation(address));
    assert.equal(await client.getTransactionCount({ address: poor.address }), 1);
    const sent = await client.getTransaction({ hash: transactionHash });
    assert.equal(sent.authorizationList[0].address.toLowerCase(), address.toLowerCase());
    const data = encodeFunctionData({ abi, functionName: "executions" });
    assert.equal(BigInt((await client.call({ to: poor.address, data })).data), 0n);
});

test("ethers: delegates and calls", async () => {
    const provider = connect();
    try {
        const owner = account(13).connect(provider);
        const { abi, address } = await deploy(wallet(12), code);
        // The transaction itself takes the nonce before.
        const nonce = (await owner.getNonce()) + 1;
        const authorization = await owner.authorize({ address, nonce });
        const target = new Contract(owner.address, abi, owner);
        const sent = await target.execute([{ to: first, value: 3n, data: "0x" }], {
            authorizationList: [authorization],
            type: 4,
        });
        assert.equal((await sent.wait()).type, 4);
        assert.equal(await provider.getCode(owner.address), designation(address));
        const { authorizationList } = await provider.getTransaction(sent.hash);
        assert.equal(getAddress(authorizationList[0].address), getAddress(address));
        assert.equal(await target.executions(), 1n);
    } finally {
        provider.destroy();
    }
});
