// What the tests with viem share: clients whose polling suits a fast chain, and deployment.
import { createPublicClient, createWalletClient, defineChain, http } from "viem";
import { mnemonicToAccount } from "viem/accounts";
import { url } from "./devnet.mjs";

export const chain = defineChain({
    id: 31337,
    name: "devnet",
    nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: { default: { http: [url] } },
});

export const client = createPublicClient({ chain, transport: http(), pollingInterval: 100, cacheTime: 0 });

/** A wallet of the account `index` of the test mnemonic, which signs by itself. */
export function wallet(index) {
    const account = mnemonicToAccount("test test test test test test test test test test test junk", {
        addressIndex: index,
    });
    return createWalletClient({ chain, account, transport: http(), pollingInterval: 100, cacheTime: 0 });
}

/** The receipt of a transaction that succeeded. */
export async function succeeded(hash) {
    const receipt = await client.waitForTransactionReceipt({ hash: await hash });
    if (receipt.status !== "success") throw new Error(`transaction ${receipt.transactionHash} was reverted`);
    return receipt;
}

/** Deploys a contract and returns `{ abi, address }`, which viem's actions take. */
export async function deploy(owner, { abi, bytecode }, args = []) {
    const { contractAddress } = await succeeded(owner.deployContract({ abi, bytecode, args }));
    return { abi, address: contractAddress };
}
