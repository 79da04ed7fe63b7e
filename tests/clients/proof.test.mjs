// eth_getProof, judged by a verifier that shares no code with the node: ethers' RLP and Keccak, and the Yellow Paper's
// appendix D.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { AbiCoder, ContractFactory, decodeRlp, encodeRlp, keccak256, toBeArray, toBeHex, toQuantity, zeroPadValue } from "ethers";
import { account, compileToken, connect } from "./devnet.mjs";

const supply = 1_000_000n;
let provider, wallet, token;

before(async () => {
    provider = connect();
    wallet = account(3).connect(provider);
    const { abi, bytecode } = compileToken();
    token = await new ContractFactory(abi, bytecode, wallet).deploy(supply);
    await token.waitForDeployment();
});

after(() => provider.destroy());

/** The value at a key of the trie with this root, or null: throws unless the nodes prove it. */
function provenValue(root, key, nodes) {
    let path = [...keccak256(key).slice(2)];
    let expected = root;
    const take = (count) => path.splice(0, count).join("");
    if (nodes.length === 0) {
        assert.equal(root, keccak256("0x80"), "only the empty trie has a proof without nodes");
        return null;
    }
    for (const [index, node] of nodes.entries()) {
        assert.equal(keccak256(node), expected, `node ${index} is not the one its parent names`);
        let items = decodeRlp(node);
        // A node that its parent embeds follows at once.
        for (;;) {
            let child;
            if (items.length === 17) {
                child = items[Number.parseInt(take(1), 16)];
            } else {
                const [flag, ...rest] = items[0].slice(2);
                const nibbles = (Number.parseInt(flag, 16) % 2 === 1 ? rest : rest.slice(1)).join("");
                const matches = take(nibbles.length) === nibbles;
                const isLeaf = Number.parseInt(flag, 16) >= 2;
                if (isLeaf || !matches) {
                    assert.equal(index, nodes.length - 1, "nodes after the end of the path");
                    return matches ? items[1] : null;
                }
                child = items[1];
            }
            if (child === "0x") {
                assert.equal(index, nodes.length - 1, "nodes after the end of the path");
                return null;
            }
            if (typeof child === "string") {
                expected = child;
                break;
            }
            items = child;
        }
    }
    throw new Error("the path ends before the proof does");
}

const rlpNumber = (value) => (BigInt(value) === 0n ? "0x" : toBeArray(value));

/** Checks an answer of eth_getProof against a state root. */
function verify(answer, stateRoot) {
    const { nonce, balance, storageHash, codeHash } = answer;
    const proven = provenValue(stateRoot, answer.address, answer.accountProof);
    assert.equal(proven, encodeRlp([rlpNumber(nonce), rlpNumber(balance), storageHash, codeHash]));
    for (const { key, value, proof } of answer.storageProof) {
        const slot = provenValue(storageHash, zeroPadValue(toBeHex(key), 32), proof);
        assert.equal(slot, BigInt(value) === 0n ? null : encodeRlp(rlpNumber(value)));
    }
}

test("every block proves the token's balances", async () => {
    const holder = account(4).address;
    const deployed = (await token.deploymentTransaction().wait()).blockNumber;
    for (const amount of [1n, 300n]) {
        await (await token.transfer(holder, amount)).wait();
    }
    const slots = [0, 1, 2, 3, 4].map((position) =>
        keccak256(AbiCoder.defaultAbiCoder().encode(["address", "uint256"], [holder, position])),
    );
    const balances = new Set();
    for (let number = deployed; number <= (await provider.getBlockNumber()); number++) {
        const block = await provider.send("eth_getBlockByNumber", [toQuantity(number), false]);
        const id = { blockHash: block.hash, requireCanonical: true };
        const answer = await provider.send("eth_getProof", [await token.getAddress(), [...slots, "0x0"], id]);
        verify(answer, block.stateRoot);
        const held = answer.storageProof.slice(0, slots.length).map(({ value }) => BigInt(value));
        balances.add(held.reduce((sum, value) => sum + value, 0n));
    }
    assert.deepEqual([...balances], [0n, 1n, 301n]);
});

test("a proof for another root or with another value is refused", async () => {
    const block = await provider.send("eth_getBlockByNumber", ["latest", false]);
    const answer = await provider.send("eth_getProof", [wallet.address, [], block.hash]);
    verify(answer, block.stateRoot);
    assert.throws(() => verify(answer, block.parentHash));
    assert.throws(() => verify({ ...answer, balance: "0x1" }, block.stateRoot));
});
