// Where a Heddle node answers otherwise than Anvil. `request` is matched with the method and its parameters as JSON, `path`
// with the place in the answer ("" where one of the two is an error and the other is none), `when` gets what both answered.
// Heddle follows go-ethereum: where it agrees with Anvil, no difference belongs here.

const refusedByUs = (ours, theirs) => ours?.error !== undefined && theirs?.error === undefined;
const startsWith = (...starts) => (ours) => starts.some((start) => ours?.toString().startsWith(start));

export const exceptions = [
    {
        request: /^eth_getBlock\w+\["(safe|finalized)"/,
        why: "every block is final at once; Anvil takes the block 32 and 64 before the head for safe and final",
    },
    {
        request: /^eth_getBlockBy/,
        path: /totalDifficulty$/,
        why: "go-ethereum no longer tells it",
    },
    {
        request: /Receipt/,
        path: /blobGasPrice$/,
        why: "go-ethereum tells it for transactions with blobs only",
    },
    {
        path: /^error\.message$/,
        when: startsWith("invalid argument", "invalid hex", "missing value for", "too many arguments", "the method"),
        why: "mistakes in requests have go-ethereum's words; Anvil has those of its JSON library",
    },
    {
        request: /^eth_getBlockByNumber\[(1|"0x01"),/,
        when: refusedByUs,
        why: "go-ethereum takes quantities as hexadecimal text only, without zeros in front",
    },
    {
        request: /^eth_(getBalance|call).*"0xffffff"\]$/,
        path: /^error/,
        why: "the state of an unknown block is -32000 'header not found' in go-ethereum",
    },
    {
        request: /^eth_getBlockTransactionCountByNumber\["0xffffff"\]/,
        when: (ours) => ours.result === null,
        why: "an unknown block has null transactions in go-ethereum",
    },
    {
        request: /^debug_traceCall/,
        path: /\.gas$/,
        why: "a call that names no gas has go-ethereum's cap (50 million) here, and the block's gas limit in Anvil",
    },
    {
        request: /^eth_getLogs.*"0xffffff"/,
        path: /^error\.message$/,
        why: "a range beyond the head has go-ethereum's words",
    },
    {
        request: /^eth_getLogs\[\{"fromBlock":"0x[^f]\w*","toBlock":"0x/,
        when: refusedByUs,
        why: "go-ethereum refuses a range that ends before it begins",
    },
    {
        request: /^eth_getLogs.*"topics":\[null,null,null,null\]/,
        path: /^result/,
        why: "a log has a topic where go-ethereum's filter has null, also at its end; Anvil finds logs of fewer topics",
    },
    {
        request: /^eth_feeHistory/,
        when: refusedByUs,
        why: "go-ethereum refuses percentiles that fall or pass 100, and blocks beyond the head",
    },
    {
        request: /^eth_feeHistory/,
        path: /^result\.reward$/,
        when: (ours, theirs) => ours === undefined && theirs.length === 0,
        why: "go-ethereum leaves the rewards out where nobody asked for percentiles",
    },
    {
        request: /^eth_feeHistory\[[^,]+,"0x/,
        path: /^result\.baseFeePerGas\.\d+$/,
        why: "Anvil ends every history with the base fee of the next block, also one that ends before the head",
    },
    {
        request: /^eth_estimateGas/,
        path: /^result$/,
        when: (ours, theirs) => Number(ours) > Number(theirs) && Number(ours) < Number(theirs) * 1.016,
        why: "go-ethereum stops searching within 1.5 % of the least gas",
    },
    {
        request: /^eth_(call|estimateGas).*("gasPrice"|"maxFeePerGas":"0x1"|"input":"0x34"|"value":"0xc9f2c9cd04674edea40000000")/,
        when: refusedByUs,
        why: "go-ethereum refuses prices below the base fee or of two kinds, two inputs that differ, and too little ether",
    },
    {
        request: /^eth_(call|estimateGas|createAccessList|sendRawTransaction)/,
        path: /^error\.code$/,
        when: (ours, theirs) => ours === -32000 && [-32003, -32602, -32603].includes(theirs),
        why: "go-ethereum has one code, -32000, for what cannot be executed or sent",
    },
    {
        request: /^eth_(call|estimateGas)/,
        path: /^error\.message$/,
        when: startsWith("out of gas", "gas required", "invalid opcode", "max priority fee p"),
        why: "what fails without a revert has go-ethereum's words",
    },
    {
        request: /"state":\{\},"stateDiff":\{\}/,
        path: /^error\.message$/,
        why: "an account whose slots are replaced and changed is refused in go-ethereum's words",
    },
    {
        request: /^eth_createAccessList/,
        when: (ours, theirs) => ours.result?.error === "execution reverted" && theirs.error?.code === 3,
        why: "go-ethereum gives the access list of a call that reverts, with the error in it",
    },
    {
        request: /^eth_simulateV1\[\{"blockStateCalls":\[\]/,
        when: refusedByUs,
        why: "go-ethereum refuses a simulation of nothing",
    },
    {
        request: /^eth_simulateV1/,
        path: /^error/,
        when: (ours) => ours === -38014 || startsWith("err: insufficient")(ours),
        why: "execution-apis has a code of its own for too little ether, -38014, in go-ethereum's words",
    },
    {
        request: /^eth_simulateV1/,
        path: /^result\.\d+\.(?!calls)|logs\.\d+\.(blockHash|blockNumber|transactionHash)$|maxUsedGas$/,
        why: "go-ethereum simulates blocks after the head and whole headers; Anvil has neither parents nor roots",
    },
    {
        request: /^eth_simulateV1/,
        path: /calls\.2\.(error\.\w+|returnData)$/,
        why: "go-ethereum gives what a call reverted with in its error, with the code 3",
    },
    {
        request: /^eth_sendRawTransaction/,
        path: /^error\.message$/,
        when: startsWith("rlp:", "invalid sender", "nonce too low", "already known", "exceeds block gas", "max initcode size"),
        why: "refused transactions have go-ethereum's words",
    },
    {
        request: /^eth_getProof.*\["0x0"\]/,
        when: (_, theirs) => theirs.error !== undefined,
        why: "go-ethereum takes slots without leading zeros",
    },
    {
        request: /^eth_getProof/,
        path: /storageProof\.0\.proof\.0$/,
        when: (ours, theirs) => ours === undefined && theirs === "0x80",
        why: "go-ethereum proves a slot of an account without storage by no node at all",
    },
    {
        request: /^eth_getProof/,
        path: /storage(Hash|Proof)/,
        why: "Anvil keeps slots that were cleared in the trie that it proves them with",
    },
    {
        request: /^debug_trace.*"callTracer"/,
        path: /^result(\.\d+\.result)?\.gas$/,
        why: "the gas of the outermost call is the transaction's limit in go-ethereum, in Anvil what is left of it",
    },
    {
        request: /^debug_traceBlockByNumber/,
        path: /^result\.1\.result\.gasUsed$/,
        why: "Anvil gives the gas that the block used up to the transaction",
    },
    {
        request: /^debug_traceTransaction.*"prestateTracer"/,
        when: (ours, theirs) => ours === undefined && theirs.balance === "0x0",
        why: "go-ethereum leaves accounts out that were not there before",
    },
    {
        request: /^debug_traceTransaction.*"flatCallTracer"/,
        when: (_, theirs) => Object.keys(theirs).length === 0,
        why: "Anvil has no such tracer and answers with nothing",
    },
    {
        request: /^debug_traceTransaction/,
        path: /structLogs\.\d+\.(refund|memory)$/,
        when: (ours, theirs) => ours === undefined && (theirs === 0 || theirs.length === 0),
        why: "go-ethereum leaves out refunds of nothing and empty memory",
    },
    {
        request: /^debug_traceTransaction\["0xabab/,
        when: refusedByUs,
        why: "go-ethereum does not find a transaction that there is not",
    },
    {
        request: /^trace_filter/,
        path: /^result/,
        when: (ours) => ours === undefined,
        why: "with senders and recipients a call has to have one of each, as in Parity; Anvil takes either",
    },
];
