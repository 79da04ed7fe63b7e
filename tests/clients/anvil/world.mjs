// The transactions that both nodes execute, and what the requests ask about.
import { Interface, ZeroHash, getCreateAddress, keccak256, parseEther } from "ethers";
import { account, compile, compileToken } from "../devnet.mjs";

const token = compileToken();
const subject = compile("Subject.sol");
export const tokenInterface = new Interface(token.abi);
export const subjectInterface = new Interface(subject.abi);

export const [alice, bob, carol] = [0, 1, 2].map(account);
export const nobody = "0x00000000000000000000000000000000000000bb";
const fees = { maxFeePerGas: 10_000_000_000n, maxPriorityFeePerGas: 1_000_000_000n };

export const addresses = {
    token: getCreateAddress({ from: alice.address, nonce: 3 }),
    subject: getCreateAddress({ from: alice.address, nonce: 4 }),
};

/** The signed transaction of a wallet: as EIP-1559 has it unless `fields` say otherwise. */
export function sign(wallet, fields) {
    const prices = fields.gasPrice === undefined ? { type: 2, ...fees } : {};
    return wallet.signTransaction({ chainId: 31337, gasLimit: 1_000_000n, ...prices, ...fields });
}

const ofToken = (name, ...args) => ({ to: addresses.token, data: tokenInterface.encodeFunctionData(name, args) });
export const ofSubject = (name, ...args) => ({ to: addresses.subject, data: subjectInterface.encodeFunctionData(name, args) });
const construct = ({ bytecode }, contract, ...args) => bytecode + contract.encodeDeploy(args).slice(2);

/** The blocks' transactions, signed; the last block has two. */
async function blocks() {
    let nonce = 0;
    const by = (wallet, fields) => sign(wallet, { nonce: nonce++, ...fields });
    const accessList = [{ address: addresses.token, storageKeys: [ZeroHash] }];
    const authorization = await bob.authorize({ chainId: 31337, address: addresses.subject, nonce: 0 });
    const one = [
        by(alice, { to: nobody, value: parseEther("1"), gasLimit: 21_000n, type: 0, gasPrice: 3_000_000_000n }),
        by(alice, { to: nobody, value: 2n, accessList, type: 1, gasPrice: 3_000_000_000n }),
        by(alice, { to: nobody, value: 3n, data: "0x1234" }),
        by(alice, { data: construct(token, tokenInterface, 1_000_000n), gasLimit: 2_000_000n }),
        by(alice, { data: construct(subject, subjectInterface), value: 100n, gasLimit: 3_000_000n }),
        by(alice, ofToken("transfer", bob.address, 500n)),
        by(alice, { ...ofSubject("write", 0, 5), value: 9n }),
        by(alice, ofSubject("clear", 3)),
        by(alice, ofSubject("say", 3)),
        by(alice, ofSubject("nested", 4)),
        by(alice, ofSubject("create", 1)),
        by(alice, ofSubject("tolerate")),
        by(alice, ofSubject("explain")),
        by(alice, { ...ofSubject("overrun"), gasLimit: 100_000n }),
        by(carol, { nonce: 0, type: 4, to: bob.address, authorizationList: [authorization] }),
    ];
    nonce = 14;
    const last = [by(alice, ofToken("approve", bob.address, 77n)), by(alice, ofToken("transfer", carol.address, 11n))];
    return Promise.all([...one.map((signed) => [signed]), last].map((signed) => Promise.all(signed)));
}

/** Has a node that mines by itself execute transactions in one block; returns the block's number. */
async function execute(node, transactions) {
    // Nonces in reverse: only the last to come makes all of them executable.
    for (const raw of transactions.toReversed()) await node.call("eth_sendRawTransaction", raw);
    const receipts = await Promise.all(transactions.map((raw) => receipt(node, keccak256(raw))));
    const [number, ...others] = new Set(receipts.map(({ blockNumber }) => Number(blockNumber)));
    if (others.length > 0) throw new Error(`transactions of one block are in ${[number, ...others]}`);
    return number;
}

const blockOf = (node, number) => node.call("eth_getBlockByNumber", `0x${number.toString(16)}`, false);

/** Has Anvil, which mines only when told to, make the other node's block again. */
async function repeat(anvil, block, transactions) {
    // Anvil would give its first block the base fee of genesis.
    await anvil.call("anvil_setNextBlockBaseFeePerGas", block.baseFeePerGas);
    for (const raw of transactions) await anvil.call("eth_sendRawTransaction", raw);
    await anvil.call("evm_mine");
}

async function receipt(node, hash) {
    for (;;) {
        const found = await node.call("eth_getTransactionReceipt", hash);
        if (found) return found;
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
}

/** What requests need to know of a node; `places` are its first and last block with transactions, and its head. */
async function describe(node, hashes, places) {
    const numbers = Array.from({ length: places.head + 1 }, (_, number) => number);
    const blockHashes = (await Promise.all(numbers.map((number) => blockOf(node, number)))).map(({ hash }) => hash);
    return { node, hashes, blockHashes, kept: {}, ...places };
}

/** Both nodes' worlds, after the same transactions in the same blocks: also in those without, where Heddle made some. */
export async function makeWorlds({ heddle, anvil }) {
    const made = await blocks();
    const numbers = [];
    for (const transactions of made) numbers.push(await execute(heddle, transactions));
    const raw = new Map(made.flat().map((transaction) => [keccak256(transaction), transaction]));
    const head = Number(await heddle.call("eth_blockNumber"));
    for (let number = 1; number <= head; number++) {
        const block = await blockOf(heddle, number);
        await repeat(anvil, block, block.transactions.map((hash) => raw.get(hash)));
    }
    const places = { firstBlock: numbers[0], last: numbers.at(-1), head };
    return Promise.all([heddle, anvil].map((node) => describe(node, [...raw.keys()], places)));
}
