// The same requests, after the same transactions, to a devnet and to Anvil: the same answers, except where `exceptions.mjs`
// says why not. An exception that no answer needs fails, too.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { exceptions } from "./exceptions.mjs";
import { startNodes } from "./nodes.mjs";
import { differences, normalise } from "./normalise.mjs";
import { chain } from "./requests/chain.mjs";
import { logs } from "./requests/logs.mjs";
import { senders } from "./requests/senders.mjs";
import { state } from "./requests/state.mjs";
import { traces } from "./requests/traces.mjs";
import { makeWorlds } from "./world.mjs";

const nodes = await startNodes();
const skip = nodes ? false : "skipped: Anvil has no binary for this platform";
const worlds = nodes ? await makeWorlds(nodes) : [];
const needed = new Set();
let asked = 0;

after(() => nodes?.stop());

/** Asks both nodes what `requests` makes of their worlds; returns a text for each that is answered otherwise. */
async function compare(requests) {
    const [ours, theirs] = await Promise.all(worlds.map(async (world) => (await requests(world))[Symbol.iterator]()));
    const found = [];
    for (;;) {
        const pair = [ours.next(), theirs.next()];
        assert.equal(pair[0].done, pair[1].done, "both are asked the same");
        if (pair[0].done) return found;
        const [left, right] = await Promise.all(pair.map(({ value }, index) => answer(worlds[index], value)));
        const [method, params] = pair[0].value;
        const request = `${method}${JSON.stringify(params)}`;
        asked += 1;
        const unexpected = differences(left, right).filter((difference) => !isExcepted(request, difference));
        if (unexpected.length > 0) found.push(report(request, unexpected));
    }
}

/** The first differences of a request's answers, and how many there are. */
function report(request, differences) {
    const first = differences.slice(0, 3).map((difference) => `\n    ${JSON.stringify(difference)}`);
    return `${request}: ${differences.length} differences${first.join("")}`;
}

async function answer(world, [method, params, keep]) {
    const answered = await world.node.ask(method, params);
    if (keep) world.kept[keep] = answered.result;
    return normalise(answered, world);
}

function isExcepted(request, { path, ours, theirs }) {
    const found = exceptions.filter((exception) => {
        const [requestIs, pathIs] = [exception.request ?? /./, exception.path ?? /(?:)/];
        return requestIs.test(request) && pathIs.test(path) && (exception.when?.(ours, theirs) ?? true);
    });
    found.forEach((exception) => needed.add(exception));
    return found.length > 0;
}

for (const [name, requests] of Object.entries({ chain, state, logs, traces, senders })) {
    test(`${name}: the answers are Anvil's`, { skip }, async () => {
        const found = await compare(requests);
        assert.equal(found.length, 0, `\n${found.join("\n")}`);
    });
}

test("at least two hundred requests were compared, and every exception is one", { skip }, (context) => {
    context.diagnostic(`${asked} requests, ${exceptions.length} exceptions`);
    assert.ok(asked >= 200, `only ${asked}`);
    const idle = exceptions.filter((exception) => !needed.has(exception));
    assert.deepEqual(idle.map(({ why }) => why), []);
});
