// The document of rpc.discover, judged by validators that share no code with the node: OpenRPC's own schema for the
// document, ajv for what methods answer.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { jsonSchema } from "@json-schema-tools/meta-schema";
import { openrpcDocument as openRpcSchema } from "@open-rpc/meta-schema";
import Ajv from "ajv";
import Ajv2019 from "ajv/dist/2019.js";
import { Interface, toQuantity } from "ethers";
import { account, compileToken, connect } from "./devnet.mjs";

let provider, document, receipt;

before(async () => {
    provider = connect();
    document = await provider.send("rpc.discover", []);
    // A creation that logs.
    const { abi, bytecode } = compileToken();
    const wallet = account(20).connect(provider);
    const data = new Interface(abi).encodeDeploy([1n]);
    receipt = await (await wallet.sendTransaction({ data: bytecode + data.slice(2) })).wait();
});

after(() => provider.destroy());

/** By method a validator of what it answers. What is no schema throws. */
function validators({ methods, components }) {
    const ajv = new Ajv2019({ strictSchema: true, allErrors: true });
    ajv.addVocabulary(["components"]);
    ajv.addSchema({ components }, "document");
    const placed = (schema) => JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"document#/'));
    const entries = methods.map(({ name, result }) => [name, ajv.compile(placed(result.schema))]);
    return { ajv, byName: new Map(entries) };
}

test("the document is one of OpenRPC", () => {
    const ajv = new Ajv({ strict: false, validateFormats: false });
    ajv.addSchema(jsonSchema, "https://meta.json-schema.tools");
    const isValid = ajv.compile(openRpcSchema);
    assert.ok(isValid(document), ajv.errorsText(isValid.errors));
});

test("answers are as the document describes them", async () => {
    const { hash, from, contractAddress } = receipt;
    const number = toQuantity(receipt.blockNumber);
    const calls = [
        ["eth_getBlockByNumber", number, true],
        ["eth_getBlockByNumber", "pending", false],
        ["eth_getBlockReceipts", number],
        ["eth_getHeaderByNumber", number],
        ["eth_getTransactionByHash", hash],
        ["eth_getTransactionReceipt", hash],
        ["eth_getLogs", { fromBlock: number, toBlock: number }],
        ["eth_getProof", contractAddress, ["0x0"], "latest"],
        ["eth_feeHistory", "0x4", "latest", [10, 90]],
        ["eth_createAccessList", { from, to: contractAddress }, "latest"],
        ["eth_simulateV1", { blockStateCalls: [{ calls: [{ from, to: from }] }] }, "latest"],
        ["eth_config"],
        ["eth_capabilities"],
        ["eth_syncing"],
        ["txpool_content"],
        ["heddle_status"],
        ["heddle_consensusState"],
        ["heddle_getCommit", number],
        ["heddle_getValidators"],
        ["heddle_whyPending", hash],
        ["rpc.discover"],
    ];
    const { ajv, byName } = validators(document);
    for (const [method, ...params] of calls) {
        const isValid = byName.get(method);
        assert.ok(isValid(await provider.send(method, params)), `${method}: ${ajv.errorsText(isValid.errors)}`);
    }
});
