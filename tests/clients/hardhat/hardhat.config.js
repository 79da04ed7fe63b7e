// A project as `hardhat --init` makes it, with the devnet as a network. The compiler is npm's: nothing is downloaded.
import { createRequire } from "node:module";
import hardhatNodeTestRunner from "@nomicfoundation/hardhat-node-test-runner";
import hardhatViem from "@nomicfoundation/hardhat-viem";
import hardhatViemAssertions from "@nomicfoundation/hardhat-viem-assertions";
import { defineConfig } from "hardhat/config";

export default defineConfig({
    plugins: [hardhatNodeTestRunner, hardhatViem, hardhatViemAssertions],
    solidity: {
        version: "0.8.37",
        path: createRequire(import.meta.url).resolve("solc/soljson.js"),
        settings: { evmVersion: "osaka" },
    },
    networks: {
        devnet: {
            type: "http",
            chainType: "l1",
            url: process.env.HEDDLE_URL ?? "http://127.0.0.1:8545",
            accounts: {
                mnemonic: "test test test test test test test test test test test junk",
                initialIndex: 14,
                count: 2,
            },
        },
    },
});
