// The two nodes: the devnet, and an Anvil with its genesis, its fee recipient and its accounts.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { url } from "../devnet.mjs";

/** A node's JSON-RPC, one request after another. */
export class Node {
    #id = 0;

    constructor(url) {
        this.url = url;
    }

    /** The answer: `{ result }` or `{ error }`. */
    async ask(method, params) {
        const body = JSON.stringify({ jsonrpc: "2.0", id: ++this.#id, method, params });
        const response = await fetch(this.url, { method: "POST", headers: { "content-type": "application/json" }, body });
        const { result, error } = await response.json();
        return error ? { error } : { result };
    }

    /** The result; throws where there is an error. */
    async call(method, ...params) {
        const { result, error } = await this.ask(method, params);
        if (error) throw new Error(`${this.url}: ${method}: ${error.message}`);
        return result;
    }
}

/** Starts Anvil like the devnet: `{ heddle, anvil, stop }`; null where it has no binary for this platform. */
export async function startNodes() {
    const heddle = new Node(url);
    const binary = anvilBinary();
    if (!binary) return null;
    const args = ["--port", "0", "--hardfork", "osaka", "--no-mining", "--steps-tracing"];
    const child = spawn(binary, [...args, "--init", process.env.HEDDLE_GENESIS], { stdio: ["ignore", "pipe", "inherit"] });
    // Also where a test fails before it could stop Anvil.
    process.on("exit", () => child.kill());
    const anvil = new Node(await listening(child));
    const { config } = JSON.parse(readFileSync(process.env.HEDDLE_GENESIS, "utf8"));
    await anvil.call("anvil_setCoinbase", config.heddle.validators[0].feeRecipient);
    return { heddle, anvil, stop: () => child.kill() };
}

/** Where Anvil says that it listens, on a port that the system chose. */
async function listening(child) {
    const ended = new Promise((_, reject) => {
        child.on("error", reject);
        child.on("exit", (code) => reject(new Error(`Anvil ended with ${code}`)));
    });
    ended.catch(() => {});
    const said = new Promise((resolve) => {
        createInterface({ input: child.stdout }).on("line", (line) => {
            const match = line.match(/Listening on (\S+)/);
            if (match) resolve(`http://${match[1]}`);
        });
    });
    return Promise.race([said, ended]);
}

function anvilBinary() {
    const machine = { x64: "amd64", arm64: "arm64" }[process.arch];
    try {
        return createRequire(import.meta.url).resolve(`@foundry-rs/anvil-${process.platform}-${machine}/bin/anvil`);
    } catch {
        return null;
    }
}
