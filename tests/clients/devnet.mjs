// What the tests share: where the devnet is, its accounts, the compiled token.
import { readFileSync } from "node:fs";
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

/** Compiles Token.sol: `{ abi, bytecode }`. */
export function compileToken() {
    const content = readFileSync(new URL("Token.sol", import.meta.url), "utf8");
    const input = {
        language: "Solidity",
        sources: { "Token.sol": { content } },
        settings: { optimizer: { enabled: true }, outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } } },
    };
    const output = JSON.parse(solc.compile(JSON.stringify(input)));
    if (output.errors?.length) {
        throw new Error(output.errors.map((error) => error.formattedMessage).join("\n"));
    }
    const { abi, evm } = output.contracts["Token.sol"].Token;
    return { abi, bytecode: `0x${evm.bytecode.object}` };
}
