// Traces of transactions, blocks and calls, as Geth and as Parity have them.
import { alice, nobody, ofSubject } from "../world.mjs";

const hex = (number) => `0x${number.toString(16)}`;
const tracers = [
    { tracer: "callTracer" },
    { tracer: "callTracer", tracerConfig: { withLog: true } },
    { tracer: "callTracer", tracerConfig: { onlyTopCall: true } },
    { tracer: "prestateTracer" },
    { tracer: "prestateTracer", tracerConfig: { diffMode: true } },
    { tracer: "4byteTracer" },
    { tracer: "flatCallTracer" },
    { tracer: "noopTracer" },
];

/** `[method, params]` for one of the worlds. */
export function* traces({ hashes, firstBlock, last }) {
    const [plain, deployment, written, nested, created, tolerated, refused, delegated] = [0, 4, 6, 9, 10, 11, 12, 14].map(
        (index) => hashes[index],
    );
    for (const tracer of tracers) {
        for (const hash of [nested, created, tolerated]) yield ["debug_traceTransaction", [hash, tracer]];
    }
    for (const hash of [plain, deployment, written, refused, delegated]) {
        yield ["debug_traceTransaction", [hash, tracers[1]]];
        yield ["debug_traceTransaction", [hash, tracers[3]]];
        yield ["trace_transaction", [hash]];
    }
    yield ["debug_traceTransaction", [plain, {}]];
    yield ["debug_traceTransaction", [written, { enableMemory: true }]];
    yield ["debug_traceTransaction", [refused, { disableStack: true, disableStorage: true }]];
    yield ["debug_traceTransaction", [`0x${"ab".repeat(32)}`, {}]];
    for (const call of [ofSubject("nested", 2), ofSubject("explain"), { to: nobody, value: "0x1" }]) {
        yield ["debug_traceCall", [{ from: alice.address, ...call }, "latest", tracers[1]]];
    }
    yield ["debug_traceBlockByNumber", [hex(last), tracers[0]]];
    yield ["trace_block", [hex(last)]];
    yield ["trace_block", [hex(firstBlock + 9)]];
    const range = { fromBlock: hex(firstBlock), toBlock: hex(last) };
    yield ["trace_filter", [{ ...range, fromAddress: [alice.address] }]];
    yield ["trace_filter", [{ ...range, toAddress: [nobody] }]];
    yield ["trace_filter", [{ ...range, fromAddress: [alice.address], toAddress: [nobody] }]];
    yield ["trace_replayBlockTransactions", [hex(firstBlock + 6), ["trace"]]];
}
