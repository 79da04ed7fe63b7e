"""web3.py: transfers, a contract, events, filters, typed data, delegation, and a WebSocket that is cut."""

import contextlib
import json
import os
import unittest
from pathlib import Path

from eth_account import Account
from web3 import AsyncWeb3, HTTPProvider, Web3, WebSocketProvider
from web3.exceptions import ContractLogicError, TransactionNotFound, Web3RPCError
from web3.middleware import SignAndSendRawMiddlewareBuilder
from websockets.exceptions import ConnectionClosed

from proxy import Proxy

URL = os.environ.get("HEDDLE_URL", "http://127.0.0.1:8545")
MNEMONIC = "test test test test test test test test test test test junk"
STRANGER = Web3.to_checksum_address("0x0000000000000000000000000000000000009033")
# The ERC-20 that Uniswap tests its pairs with: published bytecode with signed approvals.
ERC20 = json.loads(
    (Path(__file__).parent.parent / "node_modules/@uniswap/v2-core/build/ERC20.json").read_text()
)
SUPPLY = 10**24

Account.enable_unaudited_hdwallet_features()


def account(index):
    return Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")


class Web3Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.owner, cls.other = account(17), account(18)
        cls.w3 = Web3(HTTPProvider(URL))
        cls.w3.eth.default_account = cls.owner.address
        for key in (cls.owner, cls.other):
            cls.w3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(key), layer=0)
        factory = cls.w3.eth.contract(abi=ERC20["abi"], bytecode=ERC20["bytecode"])
        cls.created = cls.mined(factory.constructor(SUPPLY).transact())
        cls.token = cls.w3.eth.contract(cls.created.contractAddress, abi=ERC20["abi"])

    @classmethod
    def mined(cls, sent):
        receipt = cls.w3.eth.wait_for_transaction_receipt(sent, poll_latency=0.05)
        assert receipt.status == 1, receipt
        return receipt

    def test_the_chain(self):
        self.assertTrue(self.w3.is_connected())
        self.assertEqual(self.w3.eth.chain_id, 31337)
        self.assertTrue(self.w3.client_version.lower().startswith("heddle"))
        history = self.w3.eth.fee_history(2, "latest", [50])
        self.assertEqual(len(history.baseFeePerGas), 3)
        self.assertGreater(self.w3.eth.get_block("finalized").gasLimit, 0)
        with self.assertRaises(TransactionNotFound):
            self.w3.eth.get_transaction("0x" + "11" * 32)

    def test_a_transfer(self):
        before = self.w3.eth.get_balance(STRANGER)
        receipt = self.mined(self.w3.eth.send_transaction({"to": STRANGER, "value": 5}))
        self.assertEqual(self.w3.eth.get_balance(STRANGER), before + 5)
        transaction = self.w3.eth.get_transaction(receipt.transactionHash)
        self.assertEqual((transaction.type, transaction["from"]), (2, self.owner.address))

    def test_mistakes_of_senders(self):
        poor = Account.create()
        transaction = {"to": STRANGER, "value": 1, "gas": 21_000, "gasPrice": 10**10, "nonce": 0, "chainId": 31337}
        with self.assertRaisesRegex(Web3RPCError, "insufficient funds"):
            self.w3.eth.send_raw_transaction(poor.sign_transaction(transaction).raw_transaction)
        with self.assertRaisesRegex(Web3RPCError, "nonce too low"):
            self.w3.eth.send_raw_transaction(self.owner.sign_transaction(transaction).raw_transaction)

    def test_events_and_filters(self):
        told = self.token.events.Transfer.create_filter(
            from_block="latest", argument_filters={"to": self.other.address}
        )
        receipt = self.mined(self.token.functions.transfer(self.other.address, 7).transact())
        self.assertEqual([event.args.value for event in told.get_new_entries()], [7])
        self.assertEqual(told.get_new_entries(), [])
        found = self.token.events.Transfer.get_logs(from_block=receipt.blockNumber)
        self.assertEqual([event.args.value for event in found], [7])
        self.assertEqual(self.token.events.Transfer().process_receipt(receipt)[0].args.value, 7)
        self.assertTrue(self.w3.eth.uninstall_filter(told.filter_id))

    def test_a_typed_data_permit(self):
        nonce = self.token.functions.nonces(self.owner.address).call()
        deadline = 4_000_000_000
        message = {
            "owner": self.owner.address,
            "spender": self.other.address,
            "value": 30,
            "nonce": nonce,
            "deadline": deadline,
        }
        domain = {
            "name": self.token.functions.name().call(),
            "version": "1",
            "chainId": 31337,
            "verifyingContract": self.token.address,
        }
        words = {"owner": "address", "spender": "address", "value": "uint256", "nonce": "uint256", "deadline": "uint256"}
        types = {"Permit": [{"name": name, "type": kind} for name, kind in words.items()]}
        signed = self.owner.sign_typed_data(domain, types, message)
        r, s = (value.to_bytes(32, "big") for value in (signed.r, signed.s))
        permit = self.token.functions.permit(
            self.owner.address, self.other.address, 30, deadline, signed.v, r, s
        )
        self.mined(permit.transact({"from": self.other.address}))
        self.assertEqual(self.token.functions.allowance(self.owner.address, self.other.address).call(), 30)
        with self.assertRaisesRegex(ContractLogicError, "INVALID_SIGNATURE"):
            permit.call()

    def test_a_call_on_a_state_that_is_made_up(self):
        # Answers with the balance of the caller.
        override = {STRANGER: {"code": "0x33315f5260205ff3"}, self.other.address: {"balance": 99}}
        answer = self.w3.eth.call({"from": self.other.address, "to": STRANGER}, "latest", override)
        self.assertEqual(int.from_bytes(answer, "big"), 99)

    def test_access_list_proof_and_estimate(self):
        transfer = self.token.functions.transfer(STRANGER, 1)
        estimate = transfer.estimate_gas()
        request = transfer.build_transaction({"gas": estimate})
        listed = self.w3.eth.create_access_list(request)
        self.assertEqual(len(listed.accessList), 1)
        self.assertEqual(len(listed.accessList[0].storageKeys), 2)
        proof = self.w3.eth.get_proof(self.token.address, [0])
        self.assertEqual(int.from_bytes(proof.storageProof[0].value, "big"), SUPPLY)

    def test_a_delegation(self):
        delegate = "0x" + "00" * 19 + "42"
        nonce = self.w3.eth.get_transaction_count(self.other.address)
        authorization = self.other.sign_authorization({"chainId": 31337, "address": delegate, "nonce": nonce})
        request = {"to": self.other.address, "authorizationList": [authorization], "gas": 100_000, "type": 4}
        fees = {"maxFeePerGas": 10**11, "maxPriorityFeePerGas": 10**9, "chainId": 31337}
        nonce = self.w3.eth.get_transaction_count(self.owner.address)
        signed = self.owner.sign_transaction({**request, **fees, "nonce": nonce, "value": 0, "data": b""})
        self.mined(self.w3.eth.send_raw_transaction(signed.raw_transaction))
        self.assertEqual(self.w3.eth.get_code(self.other.address).hex(), "ef0100" + delegate[2:])

    def test_a_batch(self):
        with self.w3.batch_requests() as batch:
            batch.add(self.w3.eth.get_balance(STRANGER))
            batch.add(self.token.functions.totalSupply())
            _, supply = batch.execute()
        self.assertEqual(supply, SUPPLY)


class WebSocketTest(unittest.IsolatedAsyncioTestCase):
    async def test_new_heads_go_on_after_the_connection_was_cut(self):
        numbers = []
        async with Proxy(URL) as proxy:
            rest = 3
            async for w3 in AsyncWeb3(WebSocketProvider(proxy.url)):
                with contextlib.suppress(ConnectionClosed):
                    await self.follow(w3, numbers)
                    rest -= 1
                    if rest == 0:
                        await w3.provider.disconnect()
                        break
                    self.assertEqual(proxy.cut(), 1)
                    await w3.eth.block_number
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(len(numbers), 9)

    @staticmethod
    async def follow(w3, numbers):
        """Adds the numbers of the next three heads."""
        await w3.eth.subscribe("newHeads")
        rest = 3
        async for message in w3.socket.process_subscriptions():
            numbers.append(message["result"]["number"])
            rest -= 1
            if rest == 0:
                return


if __name__ == "__main__":
    unittest.main()
