// The mempool, transactions that are refused, and requests that are none. The last group: it leaves something waiting.
import { addresses, alice, bob, nobody, sign } from "../world.mjs";

const poor = bob.constructor.createRandom();

/** `[method, params]` for one of the worlds. */
export async function senders() {
    const nonce = 16;
    const to = nobody;
    const refused = await Promise.all([
        sign(alice, { nonce: 3, to }),
        sign(alice, { nonce, to, gasLimit: 20_000n }),
        sign(alice, { nonce, to, chainId: 5 }),
        sign(alice, { nonce, to, value: 10n ** 30n }),
        sign(alice, { nonce, to, gasLimit: 40_000_000n }),
        sign(alice, { nonce, data: `0x${"00".repeat(49_153)}`, gasLimit: 5_000_000n }),
        sign(poor, { nonce: 0, to }),
    ]);
    const waiting = await sign(alice, { nonce: nonce + 5, to, value: 1n });
    return [
        ["txpool_status", []],
        ["txpool_content", []],
        ["txpool_inspect", []],
        ...refused.map((raw) => ["eth_sendRawTransaction", [raw]]),
        ["eth_sendRawTransaction", ["0x"]],
        ["eth_sendRawTransaction", ["0xc0ffee"]],
        ["eth_sendRawTransaction", ["0x02c0"]],
        ["eth_sendRawTransaction", [waiting]],
        ["eth_sendRawTransaction", [waiting]],
        ["txpool_status", []],
        ["txpool_content", []],
        ["txpool_inspect", []],
        ["eth_getTransactionCount", [alice.address, "pending"]],
        ["eth_getTransactionCount", [alice.address, "latest"]],
        ["eth_nothing", []],
        ["eth_getBlockByNumber", ["latest"]],
        ["eth_getBlockByNumber", ["0x01", false]],
        ["eth_getBlockByNumber", [1, false]],
        ["eth_getBlockByHash", ["0x1234", false]],
        ["eth_getTransactionByHash", []],
        ["eth_getTransactionReceipt", ["0x12"]],
        ["eth_getCode", [addresses.token, "latest", 3]],
        ["eth_call", []],
        ["eth_getLogs", ["everything"]],
    ];
}
