// Compiles the contract to its runtime code. From the root of the project:
//   npm install --ignore-scripts --prefix tests/clients && node crates/primitives/contracts/compile.mjs [DIRECTORY]
// The first argument says where the code goes, the second where the package `solc` is installed.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const [target = here, packages = join(here, "../../../tests/clients")] = process.argv.slice(2);
const solc = createRequire(join(packages, "package.json"))("solc");
const name = "ValidatorRegistry";
const input = {
    language: "Solidity",
    sources: { [`${name}.sol`]: { content: readFileSync(join(here, `${name}.sol`), "utf8") } },
    settings: {
        optimizer: { enabled: true, runs: 200 },
        evmVersion: "prague",
        metadata: { appendCBOR: false, bytecodeHash: "none" },
        outputSelection: { "*": { "*": ["evm.deployedBytecode.object", "storageLayout"] } },
    },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
if (output.errors?.length) {
    throw new Error(output.errors.map((error) => error.formattedMessage).join("\n"));
}
const contract = output.contracts[`${name}.sol`][name];
const code = contract.evm.deployedBytecode.object;
writeFileSync(join(target, `${name}.hex`), `${code}\n`);
console.log(`${name}: ${code.length / 2} bytes, by solc ${solc.version()}`);
for (const { slot, offset, label } of contract.storageLayout.storage) {
    console.log(`slot ${slot} byte ${offset}: ${label}`);
}
