// What the tests share: where the devnet is, its accounts, the compiler. Accounts are one file's each: ethers 0 to 2, proof 3
// and 4, cast 5 and 6, viem 7, openzeppelin 8 and 9, uniswap 10 and 11, delegation 12 and 13, Hardhat 14 and 15, forge 16,
// web3.py 17 and 18, reconnect 19, openrpc 20.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { HDNodeWallet, JsonRpcProvider, Mnemonic } from "ethers";
import solc from "solc";

export const url = process.env.HEDDLE_URL ?? "http://127.0.0.1:8545";
export const webSocketUrl = url.replace(/^http/, "ws");

const mnemonic = Mnemonic.fromPhrase("test test test test test test test test test test test junk");

/** Account `index` of the test mnemonic, without a provider. */
export function account(index) {
    return HDNodeWallet.fromMnemonic(mnemonic, `m/44'/60'/0'/0/${index}`);
}

/** A provider that looks for blocks often enough for a fast chain, and never answers from a cache. */
export function connect() {
    return new JsonRpcProvider(url, undefined, { pollingInterval: 100, cacheTimeout: -1 });
}

const require = createRequire(import.meta.url);
const readSource = (file) => readFileSync(new URL(`contracts/${file}`, import.meta.url), "utf8");

/** What a source imports from a package. */
function findImport(path) {
    return { contents: readFileSync(require.resolve(path), "utf8") };
}

const compiled = new Map();

/** Compiles contracts/`file`: `{ abi, bytecode }` of the contract `name`, of that file or of one that it imports. */
export function compile(file, name = file.replace(".sol", ""), definedIn = file) {
    if (!compiled.has(file)) compiled.set(file, compileFile(file));
    const { abi, evm } = compiled.get(file)[definedIn][name];
    return { abi, bytecode: `0x${evm.bytecode.object}` };
}

function compileFile(file) {
    const input = {
        language: "Solidity",
        sources: { [file]: { content: readSource(file) } },
        settings: { optimizer: { enabled: true }, outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } } },
    };
    const output = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));
    const errors = (output.errors ?? []).filter(({ severity }) => severity === "error");
    if (errors.length > 0) {
        throw new Error(errors.map((error) => error.formattedMessage).join("\n"));
    }
    return output.contracts;
}

/** Compiles Token.sol: `{ abi, bytecode }`. */
export const compileToken = () => compile("Token.sol");
