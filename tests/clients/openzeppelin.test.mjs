// OpenZeppelin's contracts of today, compiled by npm's solc: tokens of three standards, and votes that change the chain.
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeFunctionData, keccak256, parseEventLogs, parseSignature, toHex, zeroAddress, zeroHash } from "viem";
import { client, deploy, succeeded, wallet } from "./chain.mjs";
import { compile } from "./devnet.mjs";

const [owner, other] = [wallet(8), wallet(9)];
const [mine, others] = [owner.account.address, other.account.address];
const supply = 1_000_000n * 10n ** 18n;

const read = (contract, functionName, ...args) => client.readContract({ ...contract, functionName, args });
const write = (by, contract, functionName, ...args) => succeeded(by.writeContract({ ...contract, functionName, args }));
const refused = (by, contract, functionName, ...args) =>
    client.simulateContract({ ...contract, functionName, args, account: by.account });

test("ERC-20: a typed-data signature is an approval, once", async () => {
    const coin = await deploy(owner, compile("Coin.sol"), [supply]);
    const message = { owner: mine, spender: others, value: 500n, nonce: 0n, deadline: 4_000_000_000n };
    const [, name, version, chainId, verifyingContract] = await read(coin, "eip712Domain");
    const types = {
        Permit: [
            { name: "owner", type: "address" },
            { name: "spender", type: "address" },
            { name: "value", type: "uint256" },
            { name: "nonce", type: "uint256" },
            { name: "deadline", type: "uint256" },
        ],
    };
    const domain = { name, version, chainId, verifyingContract };
    const { v, r, s } = parseSignature(await owner.signTypedData({ domain, types, primaryType: "Permit", message }));
    const permit = [mine, others, 500n, message.deadline, Number(v), r, s];
    await write(other, coin, "permit", ...permit);
    assert.equal(await read(coin, "allowance", mine, others), 500n);
    await write(other, coin, "transferFrom", mine, others, 400n);
    assert.equal(await read(coin, "balanceOf", others), 400n);
    await assert.rejects(refused(other, coin, "permit", ...permit), /ERC2612InvalidSigner/);
    await assert.rejects(refused(other, coin, "transferFrom", mine, others, 101n), /ERC20InsufficientAllowance/);
});

test("ERC-721: works are minted, handed on and counted", async () => {
    const art = await deploy(owner, compile("Collection.sol"));
    await write(owner, art, "mint", mine);
    await write(owner, art, "mint", mine);
    await write(owner, art, "approve", others, 2n);
    const { logs } = await write(other, art, "safeTransferFrom", mine, others, 2n);
    assert.deepEqual(parseEventLogs({ ...art, logs })[0].args, { from: mine, to: others, tokenId: 2n });
    assert.equal(await read(art, "ownerOf", 2n), others);
    assert.equal(await read(art, "tokenURI", 1n), "ipfs://art/1");
    assert.equal(await read(art, "tokenOfOwnerByIndex", others, 0n), 2n);
    assert.equal(await read(art, "supportsInterface", "0x80ac58cd"), true);
    await assert.rejects(refused(other, art, "mint", others), /OwnableUnauthorizedAccount/);
    await assert.rejects(refused(owner, art, "safeTransferFrom", mine, art.address, 1n), /ERC721InvalidReceiver/);
});

test("ERC-1155: many kinds move at once", async () => {
    const items = await deploy(owner, compile("Items.sol"), [[1n, 2n, 3n], [10n, 20n, 30n]]);
    await write(owner, items, "safeBatchTransferFrom", mine, others, [1n, 3n], [4n, 5n], "0x");
    assert.deepEqual(await read(items, "balanceOfBatch", [mine, others, others], [1n, 2n, 3n]), [6n, 0n, 5n]);
    assert.equal(await read(items, "totalSupply", 3n), 30n);
    const events = await client.getContractEvents({ ...items, eventName: "TransferBatch", fromBlock: 0n });
    assert.deepEqual(events.map(({ args }) => args.values), [[10n, 20n, 30n], [4n, 5n]]);
    await assert.rejects(
        refused(other, items, "safeTransferFrom", mine, others, 1n, 1n, "0x"),
        /ERC1155MissingApprovalForAll/,
    );
});

test("a governor's vote passes through its timelock and is carried out", async () => {
    const coin = await deploy(owner, compile("Coin.sol"), [supply]);
    const { abi, bytecode } = compile("Parliament.sol", "Parliament");
    const timelock = await deploy(owner, compileTimelock(), [1n, [], [zeroAddress], mine]);
    const parliament = await deploy(owner, { abi, bytecode }, [coin.address, timelock.address, 10]);
    const proposer = keccak256(toHex("PROPOSER_ROLE"));
    await write(owner, timelock, "grantRole", proposer, parliament.address);
    await write(owner, timelock, "renounceRole", zeroHash, mine);
    await write(owner, coin, "transfer", timelock.address, 1_000n);
    await write(owner, coin, "delegate", mine);

    const data = encodeFunctionData({ ...coin, functionName: "transfer", args: [others, 1_000n] });
    const text = "Pay the other thousand.";
    const { logs } = await write(owner, parliament, "propose", [coin.address], [0n], [data], text);
    const { proposalId } = parseEventLogs({ abi, logs, eventName: "ProposalCreated" })[0].args;
    const reaches = async (state) => {
        while ((await read(parliament, "state", proposalId)) !== state) await nextBlock();
    };
    const [active, succeededState, executed] = [1, 4, 7];
    await reaches(active);
    await write(owner, parliament, "castVote", proposalId, 1);
    assert.deepEqual(await read(parliament, "proposalVotes", proposalId), [0n, supply - 1_000n, 0n]);
    await reaches(succeededState);
    const proposal = [[coin.address], [0n], [data], keccak256(toHex(text))];
    await write(owner, parliament, "queue", ...proposal);
    const due = await read(parliament, "proposalEta", proposalId);
    while ((await client.getBlock()).timestamp < due) await nextBlock();
    await write(other, parliament, "execute", ...proposal);
    assert.equal(await read(parliament, "state", proposalId), executed);
    assert.equal(await read(coin, "balanceOf", others), 1_000n);
});

/** The timelock is one of the sources that Parliament.sol imports. */
function compileTimelock() {
    return compile("Parliament.sol", "TimelockController", "@openzeppelin/contracts/governance/TimelockController.sol");
}

/** Resolves when the chain has one more block. */
function nextBlock() {
    return new Promise((resolve, reject) => {
        let first;
        const unwatch = client.watchBlockNumber({
            emitOnBegin: true,
            onError: reject,
            onBlockNumber: (number) => {
                first ??= number;
                if (number > first) resolve(unwatch());
            },
        });
    });
}
