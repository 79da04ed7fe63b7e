// Foundry's forge: a script deploys and broadcasts, tests run on a fork of the devnet.
import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { account, connect, url } from "./devnet.mjs";
import { cannotRun, foundry } from "./foundry.mjs";

const skip = await cannotRun("forge");
const root = fileURLToPath(new URL("forge", import.meta.url));
// Forge caches by chain id and block number, of which every devnet has the same.
const home = mkdtempSync(join(tmpdir(), "heddle-forge-"));
const broadcasts = mkdtempSync(join(tmpdir(), "heddle-broadcast-"));

const forge = (args, env = {}) =>
    foundry("forge", args, {
        cwd: root,
        env: { ...process.env, HOME: home, FOUNDRY_BROADCAST: broadcasts, FOUNDRY_OFFLINE: "true", ...env },
    });

let vault;

test("a script deploys a contract and broadcasts what it does with it", { skip }, async () => {
    const key = account(16).privateKey;
    const broadcast = ["--broadcast", "--slow", "--private-key", key, "--rpc-url", url];
    const output = await forge(["script", "script/Deploy.s.sol", "--json", "--non-interactive", ...broadcast]);
    const lines = output.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
    vault = lines.find(({ returns }) => returns).returns.vault.value;
    const provider = connect();
    try {
        assert.equal(await provider.getTransactionCount(account(16).address), 4);
        assert.equal(await provider.getBalance("0x00000000000000000000000000000000000F0496"), 1_750_000_000_000_000_000n);
        assert.notEqual(await provider.getCode(vault), "0x");
    } finally {
        provider.destroy();
    }
});

test("tests pass on a fork of the devnet's state", { skip }, async () => {
    const output = JSON.parse(await forge(["test", "--json", "--fork-url", url], { VAULT: vault }));
    const results = Object.values(output).flatMap(({ test_results }) => Object.entries(test_results));
    assert.deepEqual(
        results.map(([name, { status }]) => [name, status]),
        [
            ["test_a_vault_stays_closed_until_its_hour()", "Success"],
            ["test_the_deployed_vault_works_on()", "Success"],
        ],
    );
});
