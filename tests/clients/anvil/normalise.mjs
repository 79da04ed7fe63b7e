// What differs between two honest nodes is taken out of an answer before it is compared.

/** Fields that consensus decides, or that follow from what it decided. */
const OF_CONSENSUS = new Set([
    "extraData",
    "mixHash",
    "parentBeaconBlockRoot",
    "stateRoot",
    "timestamp",
    "blockTimestamp",
    "size",
]);
/** How much of an error's message is compared: its words, not the numbers after them. */
const MESSAGE_START = 18;

/** Addresses that are names of fields have checksums in go-ethereum's mempool, and in Anvil's none. */
const nameOf = (name) => (/^0x[0-9a-fA-F]{40}$/.test(name) ? name.toLowerCase() : name);

/** An answer, `{ result }` or `{ error }`, without what one node cannot have in common with another. */
export function normalise({ result, error }, { blockHashes, kept }) {
    if (error) {
        const message = error.message.toLowerCase().slice(0, MESSAGE_START);
        return { error: { code: error.code, message, ...(error.data === undefined ? {} : { data: error.data }) } };
    }
    const names = new Map([
        ...blockHashes.map((hash, number) => [hash, `hash of block ${number}`]),
        ...Object.entries(kept).map(([name, id]) => [id, `the filter of ${name}`]),
    ]);
    const simplify = (value, key) => {
        if (key === "accountProof") return "proves an account of the state";
        if (Array.isArray(value)) return value.map((item) => simplify(item));
        if (value === null || typeof value !== "object") return names.get(value) ?? value;
        const fields = Object.entries(value).filter(([name]) => !OF_CONSENSUS.has(name));
        return Object.fromEntries(fields.map(([name, field]) => [nameOf(name), simplify(field, name)]));
    };
    return { result: simplify(result) };
}

/** Where two normalised answers differ: `{ path, ours, theirs }`. */
export function differences(ours, theirs) {
    const sameKind = "error" in ours === "error" in theirs;
    return sameKind ? within(ours, theirs, "") : [{ path: "", ours, theirs }];
}

function within(ours, theirs, path) {
    if (Object.is(ours, theirs)) return [];
    const comparable = [ours, theirs].every((value) => value !== null && typeof value === "object");
    if (!comparable || Array.isArray(ours) !== Array.isArray(theirs)) return [{ path, ours, theirs }];
    const keys = new Set([...Object.keys(ours), ...Object.keys(theirs)]);
    return [...keys].flatMap((key) => within(ours[key], theirs[key], path === "" ? key : `${path}.${key}`));
}
