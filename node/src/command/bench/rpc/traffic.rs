//! The chain that questions are asked about: the same blocks on every server.

use super::super::workload::{TOKEN, TRANSFER, Workload, token_transfer};
use alloy_consensus::TxEip1559;
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, TxKind, address, hex};
use heddle_primitives::{Genesis, Transaction};
use std::error::Error;
use std::path::{Path, PathBuf};

/// Logs of a block of announcements.
pub const LOGS_PER_BLOCK: u64 = 10;
/// Announcements to [`RARE_RECIPIENT`], evenly over the chain.
const RARE_LOGS: u64 = 10;
const RARE_RECIPIENT: Address = address!("0x00000000000000000000000000000000000012a1");
/// Blocks of a usual size, and their transactions.
pub const USUAL_BLOCKS: u64 = 10;
const USUAL_TRANSACTIONS: u64 = 200;
/// Gas for the largest block.
const GAS_LIMIT: u64 = 2_000_000_000;
/// Emits ten `Transfer` events from its caller to the words of its input, with their positions as amounts. Assembly:
///
/// ```text
/// 5f 5b  80 5f 52                                    i = 0; loop: memory[0] = i
/// 80 6005 1b 35 33 7f ddf2..b3ef 6020 5f a3          log Transfer(caller, input[32 i], memory[0..32])
/// 6001 01  80 600a 11 6001 57  00                    i += 1; again while 10 > i
/// ```
const ANNOUNCER_CODE: [u8; 59] = hex!(
    "5f5b805f528060051b35337fddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef60205fa36001018060"
    "0a1160015700"
);
/// Where it is.
pub const ANNOUNCER: Address = address!("0x000000000000000000000000000000000000a77e");

/// A server that blocks are made on.
pub trait Server {
    /// Makes a block of these transactions.
    ///
    /// # Errors
    /// The server's.
    fn mine(&mut self, transactions: Vec<Transaction>) -> Result<(), Box<dyn Error>>;
}

/// What there is to ask about.
pub struct Traffic {
    workload: Workload,
    genesis: Genesis,
    largest: u64,
}

impl Traffic {
    /// With so many transactions in the largest block.
    ///
    /// # Errors
    /// Never, but for a broken genesis parser.
    pub fn new(largest: u64) -> Result<Self, Box<dyn Error>> {
        let workload = Workload::new()?;
        let code = Bytes::from_static(&ANNOUNCER_CODE);
        let announcer = GenesisAccount::default().with_nonce(Some(1)).with_code(Some(code));
        let genesis = workload.genesis_with(GAS_LIMIT, [(ANNOUNCER, announcer)])?;
        Ok(Self { workload, genesis, largest })
    }

    /// The chain's genesis.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Writes the genesis file, and says where.
    ///
    /// # Errors
    /// The file system's.
    pub fn write_genesis(&self, directory: &Path) -> Result<PathBuf, Box<dyn Error>> {
        let path = directory.join("genesis.json");
        std::fs::write(&path, self.genesis.to_json()?)?;
        Ok(path)
    }

    /// An account that has ether and tokens; there are a thousand.
    pub fn holder(&self, number: u64) -> Address {
        self.workload.sender(number)
    }

    /// The topics of announcements to a holder.
    pub fn topics(&self, number: u64) -> (B256, B256) {
        (TRANSFER, self.holder(number).into_word())
    }

    /// The topics of the few announcements to one that is no holder.
    pub fn rare_topics() -> (B256, B256) {
        (TRANSFER, RARE_RECIPIENT.into_word())
    }

    /// The transactions of the largest block.
    pub fn largest(&self) -> u64 {
        self.largest
    }

    /// Makes `log_blocks` blocks of announcements on a server, then blocks of a usual size, then the largest. `progress` is
    /// told of each.
    ///
    /// # Errors
    /// The server's, and what `progress` says.
    pub fn populate(
        &self,
        server: &mut impl Server,
        log_blocks: u64,
        progress: &mut dyn FnMut(u64) -> Result<(), Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        let mut sent = 0;
        for number in 0..log_blocks {
            // An odd distance: of holders that have a block in a hundred, none would lose all.
            let is_rare = number % ((log_blocks / RARE_LOGS) | 1) == 0;
            server.mine(self.next(&mut sent, 1, |number| self.announcement(number, is_rare))?)?;
            progress(number)?;
        }
        let sizes = std::iter::repeat_n(USUAL_TRANSACTIONS, USUAL_BLOCKS as usize).chain([self.largest]);
        for (number, size) in (log_blocks..).zip(sizes) {
            server.mine(self.next(&mut sent, size, |number| token_transfer(self.holder(number * 7 + 1)))?)?;
            progress(number)?;
        }
        Ok(())
    }

    /// The next transactions, of all holders in turn.
    fn next(
        &self,
        sent: &mut u64,
        count: u64,
        action: impl Fn(u64) -> TxEip1559 + Sync,
    ) -> Result<Vec<Transaction>, Box<dyn Error>> {
        let numbers = *sent..*sent + count;
        *sent += count;
        self.workload.signed(numbers, action)
    }

    fn announcement(&self, number: u64, is_rare: bool) -> TxEip1559 {
        let recipient = |place: u64| match place {
            0 if is_rare => RARE_RECIPIENT.into_word().0,
            _ => self.holder(number * LOGS_PER_BLOCK + place).into_word().0,
        };
        let input: Vec<u8> = (0..LOGS_PER_BLOCK).flat_map(recipient).collect();
        TxEip1559 { gas_limit: 100_000, to: TxKind::Call(ANNOUNCER), input: input.into(), ..TxEip1559::default() }
    }
}

/// The call that asks for a holder's tokens.
pub fn balance_of(holder: Address) -> (Address, Bytes) {
    (TOKEN, [&hex!("70a08231")[..], holder.into_word().as_slice()].concat().into())
}
