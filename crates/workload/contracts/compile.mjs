// Compiles the contracts to *.hex, their runtime code: `npm ci --prefix tests/clients && node crates/workload/contracts/compile.mjs`
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const solc = createRequire(new URL("../../../tests/clients/package.json", import.meta.url))("solc");
const files = readdirSync(new URL(".", import.meta.url)).filter((name) => name.endsWith(".sol"));
const content = (name) => readFileSync(new URL(name, import.meta.url), "utf8");
const input = {
    language: "Solidity",
    sources: Object.fromEntries(files.map((name) => [name, { content: content(name) }])),
    settings: {
        optimizer: { enabled: true, runs: 200 },
        evmVersion: "prague",
        metadata: { appendCBOR: false, bytecodeHash: "none" },
        outputSelection: { "*": { "*": ["evm.deployedBytecode.object"] } },
    },
};
const read = (path) => ({ contents: content(path) });
const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read }));
if (output.errors?.length) {
    throw new Error(output.errors.map((error) => error.formattedMessage).join("\n"));
}
for (const [file, contracts] of Object.entries(output.contracts)) {
    const code = contracts[file.replace(".sol", "")]?.evm.deployedBytecode.object;
    // Interfaces have no code, and libraries become a part of what uses them.
    if (code && file !== "MathV3.sol") {
        writeFileSync(new URL(file.replace(".sol", ".hex"), import.meta.url), `${code}\n`);
        console.log(`${file}: ${code.length / 2} bytes`);
    }
}
