//! The handle and its loop, over a chain and a network that are told what to say.

use super::*;
use crate::{
    BlockFeed, ChainReadError, ChainReader, ChangedAccounts, CommittedHead, Gossip, Mempool, MempoolMetrics,
    MempoolService, Received,
};
use alloy_primitives::keccak256;
use async_trait::async_trait;
use heddle_primitives::{Account, TransactionAnnouncement};
use parking_lot::Mutex;
use tokio::sync::{broadcast::error::TryRecvError, mpsc};

#[derive(Default)]
struct World {
    number: u64,
    accounts: HashMap<Address, Account>,
    code: HashMap<B256, Bytes>,
    is_broken: bool,
}

/// A chain on which every account that is not named is rich.
#[derive(Default)]
struct TestChain(Mutex<World>);

impl TestChain {
    fn set(&self, sender: u8, nonce: u64, code: &[u8]) {
        let mut world = self.0.lock();
        let code_hash = keccak256(code);
        world.code.insert(code_hash, Bytes::copy_from_slice(code));
        world.accounts.insert(address(sender), Account { nonce, balance: U256::from(ETHER), code_hash });
    }
}

impl ChainReader for TestChain {
    fn account(&self, address: Address) -> Result<Account, ChainReadError> {
        let world = self.0.lock();
        if world.is_broken {
            return Err(ChainReadError::new("disk on fire"));
        }
        let rich = Account { balance: U256::from(ETHER), ..Account::default() };
        Ok(world.accounts.get(&address).copied().unwrap_or(rich))
    }

    fn code(&self, hash: B256) -> Result<Bytes, ChainReadError> {
        self.0.lock().code.get(&hash).cloned().ok_or_else(|| ChainReadError::new("no such code"))
    }

    fn head(&self) -> HeadInfo {
        head(self.0.lock().number)
    }
}

struct Feed(mpsc::Receiver<CommittedHead>);

#[async_trait]
impl BlockFeed for Feed {
    async fn next(&mut self) -> Option<CommittedHead> {
        self.0.recv().await
    }
}

/// What was announced, of which origin; of none when it was announced again.
type Announced = (Vec<B256>, Option<Origin>);

struct Announcements(mpsc::UnboundedSender<Announced>);

impl Announcements {
    fn send(&self, transactions: &[Arc<PoolTransaction>], origin: Option<Origin>) {
        let _ = self.0.send((transactions.iter().map(|transaction| transaction.hash()).collect(), origin));
    }
}

impl Gossip for Announcements {
    fn announce(&self, transactions: &[Arc<PoolTransaction>], origin: Origin) {
        self.send(transactions, Some(origin));
    }

    fn announce_again(&self, transactions: &[Arc<PoolTransaction>]) {
        self.send(transactions, None);
    }
}

fn mempool() -> (Mempool, MempoolService, Arc<TestChain>) {
    let chain = Arc::new(TestChain::default());
    let config = MempoolConfig { reannounce_secs: 1, ..MempoolConfig::default() };
    let (mempool, service) =
        Mempool::new(config, &genesis(), Arc::clone(&chain) as _, MempoolMetrics::default()).unwrap();
    (mempool, service, chain)
}

fn batch(drafts: impl IntoIterator<Item = Draft>) -> Vec<Bytes> {
    drafts.into_iter().map(Draft::encode).collect()
}

#[test]
fn a_batch_is_recovered_and_answered_in_its_order() {
    let (mempool, _service, _) = mempool();
    let drafts = Vec::from_iter((0..60).map(|i| draft(1 + i % 6, u64::from(i / 6))));
    let mut raw = batch(drafts.clone());
    raw.insert(30, Bytes::from_static(&[9]));
    raw.push(raw[0].clone());
    let results = mempool.submit_batch(&raw, Origin::Local);
    assert!(matches!(results[30], Err(PoolError::UnknownType(9))));
    assert!(matches!(results[61], Err(PoolError::AlreadyKnown)));
    let hashes = Vec::from_iter(results.iter().flatten().copied());
    assert_eq!(hashes, Vec::from_iter(drafts.iter().map(Draft::hash)));
    assert_eq!(mempool.status().pending, 60);
    for (held, draft) in mempool.get_many(&hashes).into_iter().zip(&drafts) {
        assert_eq!(held.unwrap().sender(), address(draft.sender));
    }
}

#[test]
fn what_becomes_of_a_peers_transactions() {
    let (mempool, _service, _) = mempool();
    let received = |accepted, refused, invalid| Received { accepted, refused, invalid };
    let first = batch([draft(1, 0), draft(2, 0)]);
    assert_eq!(mempool.receive(&first), received(2, 0, 0));
    assert_eq!(mempool.receive(&first), received(0, 2, 0), "known by now");
    assert_eq!(mempool.receive(&batch([draft(1, 0), draft(3, 0)])), received(1, 1, 0), "one is new");
    assert_eq!(mempool.receive(&batch([draft(4, 0).tip(0)])), received(0, 1, 0), "another node may want it");
    let mut tampered = batch([draft(5, 0)]);
    tampered.push(Bytes::from_static(b"garbage"));
    assert_eq!(mempool.receive(&tampered), received(1, 0, 1));
    assert_eq!(mempool.receive(&[]), received(0, 0, 0));
}

#[test]
fn what_is_pending_is_named_and_what_is_lacking_is_told() {
    let (mempool, _service, _) = mempool();
    let held = [draft(1, 0), draft(1, 1), draft(1, 3)];
    assert_eq!(mempool.receive(&batch(held.clone())).accepted, 3);
    let announced = mempool.announcements(10);
    let name = |draft: &Draft| (draft.hash(), draft.clone().encode().len() as u32);
    let names = Vec::from_iter(announced.iter().map(|transaction| (transaction.hash, transaction.bytes)));
    assert_eq!(names, [name(&held[0]), name(&held[1])], "the last waits for another");
    assert_eq!(mempool.announcements(1), announced[..1]);

    let unknown = TransactionAnnouncement { hash: draft(2, 0).hash(), bytes: 100 };
    let queued = TransactionAnnouncement { hash: held[2].hash(), bytes: 100 };
    assert_eq!(mempool.lacking(vec![announced[0], unknown, queued]), [unknown]);
}

#[test]
fn a_delegation_is_no_contract() {
    let (mempool, _service, chain) = mempool();
    let delegation = [&[0xef, 0x01, 0x00][..], &[7; 20]].concat();
    chain.set(1, 0, &delegation);
    chain.set(2, 0, &[0x60, 0x00]);
    mempool.submit(&draft(1, 0).encode(), Origin::Local).unwrap();
    let error = mempool.submit(&draft(2, 0).encode(), Origin::Local).unwrap_err();
    assert!(matches!(error, PoolError::SenderNotEoa(sender) if sender == address(2)));
}

#[test]
fn a_chain_that_cannot_be_read_refuses_and_says_why() {
    let (mempool, _service, chain) = mempool();
    chain.0.lock().is_broken = true;
    let error = mempool.submit(&draft(1, 0).encode(), Origin::Local).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the sender's account: disk on fire");
    let refused = Received { refused: 1, ..Received::default() };
    assert_eq!(mempool.receive(&batch([draft(1, 0)])), refused, "not the peer's fault");
    let commit = CommittedHead { head: head(1), changed: ChangedAccounts::Unknown };
    assert!(mempool.on_committed(&commit).is_ok(), "there is no account to read");
}

#[test]
fn subscribers_hear_what_becomes_pending_once() {
    let (mempool, _service, _) = mempool();
    let mut events = mempool.subscribe();
    mempool.submit(&draft(1, 1).encode(), Origin::Gossip).unwrap();
    assert_eq!(events.try_recv().unwrap_err(), TryRecvError::Empty, "it waits for nonce 0");
    mempool.submit(&draft(1, 0).encode(), Origin::Gossip).unwrap();
    assert_eq!(names(events.try_recv().unwrap().iter()), [(1, 0), (1, 1)]);
    mempool.submit(&draft(1, 0).encode(), Origin::Gossip).unwrap_err();
    assert_eq!(events.try_recv().unwrap_err(), TryRecvError::Empty);
}

#[test]
fn what_a_refused_transaction_taught_is_heard() {
    let (mempool, _service, chain) = mempool();
    mempool.submit(&draft(1, 1).encode(), Origin::Gossip).unwrap();
    let mut events = mempool.subscribe();
    chain.set(1, 1, &[]);
    mempool.submit(&draft(1, 0).encode(), Origin::Gossip).unwrap_err();
    assert_eq!(names(events.try_recv().unwrap().iter()), [(1, 1)]);
}

#[test]
fn commits_are_checked_against_the_accounts_of_the_head() {
    let (mempool, _service, chain) = mempool();
    for sender in [1, 2] {
        mempool.submit(&draft(sender, 0).encode(), Origin::Local).unwrap();
        chain.set(sender, 1, &[]);
    }
    let changed = ChangedAccounts::These(vec![address(1), address(40)]);
    mempool.on_committed(&CommittedHead { head: head(1), changed }).unwrap();
    assert!(mempool.get(&draft(1, 0).hash()).is_none());
    assert!(mempool.get(&draft(2, 0).hash()).is_some());
    mempool.on_committed(&CommittedHead { head: head(2), changed: ChangedAccounts::Unknown }).unwrap();
    assert_eq!(mempool.status(), crate::PoolStatus::default());
}

/// A running service with its feed and what it announces.
struct Running {
    mempool: Mempool,
    chain: Arc<TestChain>,
    feed: mpsc::Sender<CommittedHead>,
    announced: mpsc::UnboundedReceiver<Announced>,
    task: tokio::task::JoinHandle<Result<(), ChainReadError>>,
}

fn start() -> Running {
    let (mempool, service, chain) = mempool();
    let (feed, blocks) = mpsc::channel(8);
    let (announce, announced) = mpsc::unbounded_channel();
    let task = tokio::spawn(service.run(Feed(blocks), Arc::new(Announcements(announce))));
    Running { mempool, chain, feed, announced, task }
}

#[tokio::test]
async fn what_becomes_pending_is_announced_with_its_origin() {
    let mut running = start();
    running.mempool.submit(&draft(1, 1).encode(), Origin::Gossip).unwrap();
    running.mempool.submit(&draft(1, 0).encode(), Origin::Local).unwrap();
    let mut announced = Vec::new();
    while announced.len() < 2 {
        announced.push(running.announced.recv().await.unwrap());
    }
    let expected = [(vec![draft(1, 0).hash()], Some(Origin::Local)), (vec![draft(1, 1).hash()], Some(Origin::Gossip))];
    assert_eq!(announced, expected, "the second waited for the first");
}

#[tokio::test]
async fn local_transactions_are_announced_again_until_they_are_mined() {
    let mut running = start();
    running.mempool.submit(&draft(9, 0).encode(), Origin::Gossip).unwrap();
    running.mempool.submit(&draft(1, 0).encode(), Origin::Local).unwrap();
    for origin in [Origin::Gossip, Origin::Local] {
        assert_eq!(running.announced.recv().await.unwrap().1, Some(origin));
    }
    for _ in 0..2 {
        assert_eq!(running.announced.recv().await.unwrap(), (vec![draft(1, 0).hash()], None));
    }
    running.chain.set(1, 1, &[]);
    let changed = ChangedAccounts::These(vec![address(1)]);
    running.feed.send(CommittedHead { head: head(1), changed }).await.unwrap();
    drop(running.feed);
    running.task.await.unwrap().unwrap();
    while let Ok((hashes, _)) = running.announced.try_recv() {
        assert_eq!(hashes, [draft(1, 0).hash()], "on its way when the block came");
    }
    assert!(running.mempool.local_since(Duration::ZERO).is_empty());
}

#[tokio::test]
async fn the_service_follows_the_feed_and_ends_with_it() {
    let running = start();
    running.mempool.submit(&draft(1, 0).encode(), Origin::Gossip).unwrap();
    running.chain.set(1, 1, &[]);
    let changed = ChangedAccounts::These(vec![address(1)]);
    running.feed.send(CommittedHead { head: head(1), changed }).await.unwrap();
    drop(running.feed);
    running.task.await.unwrap().unwrap();
    assert_eq!(running.mempool.status().pending, 0);
}

#[tokio::test]
async fn the_service_ends_when_the_chain_cannot_be_read() {
    let running = start();
    running.mempool.submit(&draft(1, 0).encode(), Origin::Gossip).unwrap();
    running.chain.0.lock().is_broken = true;
    running.feed.send(CommittedHead { head: head(1), changed: ChangedAccounts::Unknown }).await.unwrap();
    assert_eq!(running.task.await.unwrap().unwrap_err().to_string(), "disk on fire");
}
