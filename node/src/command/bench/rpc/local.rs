//! Our chain, made in this process; and what is faster without a server to measure.

use super::traffic::{ANNOUNCER, LOGS_PER_BLOCK, Server, Traffic};
use crate::progress::Progress;
use crate::shutdown::StopFlag;
use alloy_primitives::B256;
use heddle_chain::{BlockTemplate, Chain, ChainConfig, LogFilter, LogLimits, RecoveredBlock, TransactionLocation};
use heddle_primitives::Transaction;
use heddle_storage::{Database, DatabaseConfig};
use serde_json::{Value, json};
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Searches, or look-ups, of which the median is told.
const SAMPLES: u64 = 101;

/// A data directory with the chain of a [`Traffic`].
pub struct Local<'a> {
    chain: Chain,
    traffic: &'a Traffic,
    log_blocks: u64,
    datadir: PathBuf,
    is_told: bool,
}

impl Server for Chain {
    fn mine(&mut self, transactions: Vec<Transaction>) -> Result<(), Box<dyn Error>> {
        let timestamp = self.head().header.timestamp + 12;
        let block = self.assemble(BlockTemplate { timestamp, transactions, ..BlockTemplate::default() })?;
        self.import(&RecoveredBlock::recover(self.rules(), block)?)?;
        Ok(())
    }
}

impl<'a> Local<'a> {
    /// Makes the chain in a new data directory.
    ///
    /// # Errors
    /// The database's, or a signal.
    pub fn make(
        directory: &Path,
        traffic: &'a Traffic,
        log_blocks: u64,
        is_told: bool,
        stop: &StopFlag,
    ) -> Result<Self, Box<dyn Error>> {
        let datadir = directory.join("node");
        std::fs::create_dir_all(&datadir)?;
        let database = Database::open(&datadir.join("db"), &DatabaseConfig::default())?;
        let config = ChainConfig { commits_synced: false, ..ChainConfig::default() };
        let mut chain = Chain::open(traffic.genesis().clone(), database, config)?;
        let mut shown = is_told.then(|| Progress::new("make", log_blocks));
        traffic.populate(&mut chain, log_blocks, &mut |number| {
            if let Some(shown) = &mut shown {
                shown.at(number, || format!("block {number}"));
            }
            if stop.is_raised() { Err("stopped by a signal".into()) } else { Ok(()) }
        })?;
        Ok(Self { chain, traffic, log_blocks, datadir, is_told })
    }

    /// How long searches through all blocks take, without and with the index, and look-ups in the largest block, by decoding
    /// it and by cutting out a part. Indexes the chain.
    ///
    /// # Errors
    /// The database's.
    pub fn searches(&self) -> Result<Value, Box<dyn Error>> {
        let by_bloom = self.search(1)?;
        let started = Instant::now();
        while !self.chain.index_logs()? {}
        let indexing = started.elapsed();
        let by_index = self.search(SAMPLES)?;
        let (decoded, cut) = (self.decoding_time()?, self.cutting_time()?);
        if self.is_told {
            let logs = self.log_blocks * LOGS_PER_BLOCK;
            tell!("{logs} logs in {} blocks, indexed in {indexing:.2?}", self.log_blocks);
            tell!("one contract and topic in all of them, by blooms: {by_bloom}; by the index: {by_index}");
            tell!("a receipt of the largest block: decoding the block {decoded:.2?}, cutting it out {cut:.2?}");
        }
        Ok(json!({
            "indexingMs": milliseconds(indexing),
            "allBlocksByBloom": by_bloom.report(),
            "allBlocksByIndex": by_index.report(),
            "receiptByDecodingMs": milliseconds(decoded),
            "receiptByCuttingMs": milliseconds(cut),
        }))
    }

    /// Closes the database; its data directory.
    pub fn close(self) -> PathBuf {
        self.datadir
    }

    /// One contract and one recipient in all blocks: one that there is little of, and one of a thousand.
    fn search(&self, samples: u64) -> Result<Search, Box<dyn Error>> {
        let (mut few, mut many) = (0, 0);
        let few_time = median(samples, |_| {
            few = self.found(Traffic::rare_topics())?;
            Ok(())
        })?;
        let many_time = median(samples, |sample| {
            many = self.found(self.traffic.topics(sample))?;
            Ok(())
        })?;
        Ok(Search { few, few_time, many, many_time })
    }

    /// How many announcements to a recipient there are in all blocks.
    fn found(&self, (transfer, recipient): (B256, B256)) -> Result<usize, Box<dyn Error>> {
        let limits =
            LogLimits { blocks_max: u64::MAX, logs_max: usize::MAX, bytes_max: usize::MAX, time_max: Duration::MAX };
        let topics = vec![vec![transfer], vec![], vec![recipient]];
        let filter = LogFilter { from: 0, to: self.log_blocks, addresses: vec![ANNOUNCER], topics };
        match self.chain.logs(&filter, limits)?.len() {
            0 => Err("a search found nothing".into()),
            found => Ok(found),
        }
    }

    fn decoding_time(&self) -> Result<Duration, Box<dyn Error>> {
        let number = self.chain.head().header.number;
        median(SAMPLES, |_| {
            let (block, receipts) = (self.chain.block(number)?, self.chain.receipts(number)?);
            if block.is_none() || receipts.is_none() { Err("the largest block is missing".into()) } else { Ok(()) }
        })
    }

    fn cutting_time(&self) -> Result<Duration, Box<dyn Error>> {
        let number = self.chain.head().header.number;
        median(SAMPLES, |sample| {
            let location = TransactionLocation { number, index: sample * self.traffic.largest() / SAMPLES };
            let (transaction, receipt) = (self.chain.transaction_at(location)?, self.chain.receipt_at(location)?);
            if transaction.is_none() || receipt.is_none() { Err("a transaction is missing".into()) } else { Ok(()) }
        })
    }
}

/// How long it took to find few logs among all, and to find many.
struct Search {
    few: usize,
    few_time: Duration,
    many: usize,
    many_time: Duration,
}

impl Search {
    fn report(&self) -> Value {
        json!({
            "few": { "logs": self.few, "ms": milliseconds(self.few_time) },
            "many": { "logs": self.many, "ms": milliseconds(self.many_time) },
        })
    }
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { few, few_time, many, many_time } = self;
        write!(f, "{few} logs in {few_time:.2?}, {many} in {many_time:.2?}")
    }
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn median(samples: u64, mut sample: impl FnMut(u64) -> Result<(), Box<dyn Error>>) -> Result<Duration, Box<dyn Error>> {
    let mut times = Vec::new();
    for number in 0..samples {
        let started = Instant::now();
        sample(number)?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}
