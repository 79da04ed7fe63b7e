"""web3.py over the node's Unix socket: calls, a batch, and a subscription."""

import asyncio
import os
import unittest

from web3 import AsyncIPCProvider, AsyncWeb3, IPCProvider, Web3
from web3.exceptions import Web3RPCError

from test_web3 import STRANGER, account

PATH = os.environ["HEDDLE_IPC"]


class IpcTest(unittest.TestCase):
    def setUp(self):
        self.w3 = Web3(IPCProvider(PATH))

    def send(self, value):
        owner = account(17)
        transaction = {
            "to": STRANGER,
            "value": value,
            "gas": 21_000,
            "gasPrice": self.w3.eth.gas_price * 2,
            "nonce": self.w3.eth.get_transaction_count(owner.address, "pending"),
            "chainId": 31337,
        }
        return self.w3.eth.send_raw_transaction(owner.sign_transaction(transaction).raw_transaction)

    def test_calls_and_mistakes(self):
        self.assertTrue(self.w3.is_connected())
        self.assertEqual(self.w3.eth.chain_id, 31337)
        receipt = self.w3.eth.wait_for_transaction_receipt(self.send(5), poll_latency=0.05)
        self.assertEqual(receipt.status, 1)
        before, after = (self.w3.eth.get_balance(STRANGER, receipt.blockNumber - 1 + i) for i in range(2))
        self.assertEqual(after, before + 5)
        self.assertEqual(self.w3.provider.make_request("admin_peers", [])["result"], [])
        with self.assertRaisesRegex(Web3RPCError, "insufficient funds"):
            self.w3.eth.call({"from": STRANGER, "to": STRANGER, "value": 10**30})

    def test_a_batch(self):
        with self.w3.batch_requests() as batch:
            for _ in range(100):
                batch.add(self.w3.eth.get_block("latest"))
            self.assertEqual(len(batch.execute()), 100)

    def test_a_subscription(self):
        async def first_head():
            async with AsyncWeb3(AsyncIPCProvider(PATH)) as w3:
                await w3.eth.subscribe("newHeads")
                self.send(0)
                async for message in w3.socket.process_subscriptions():
                    return message["result"]["number"]

        self.assertGreater(asyncio.run(first_head()), 0)


if __name__ == "__main__":
    unittest.main()
