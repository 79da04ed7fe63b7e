//! Whoever lies, is silent or slow: the block is the right one or none, and with one honest peer it comes.

use super::super::asking::PATIENCE;
use super::super::erasure::Pieces;
use super::super::fixture::{block, compact, transaction, transactions};
use super::*;
use heddle_primitives::CompactBlock;
use proptest::prelude::*;
use std::{collections::BTreeSet, sync::LazyLock};

/// How a peer behaves when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    /// Right, after so many milliseconds.
    Honest(u64),
    /// Refuses.
    Absent,
    Silent,
    /// Other transactions, damaged pieces.
    Wrong,
    /// Right but one too few, or no pieces.
    Short,
    /// Says that there are no such pieces, and nothing else.
    Denies,
}

static SMALL: LazyLock<Arc<ProposedBlock>> = LazyLock::new(|| block(7, transactions(40, 100)));
static LARGE: LazyLock<Arc<ProposedBlock>> = LazyLock::new(|| block(7, transactions(60, 10_000)));
static LARGE_PIECES: LazyLock<Pieces> = LazyLock::new(|| Pieces::of(&LARGE.block.body.transactions).unwrap());
static OTHER_PIECES: LazyLock<Pieces> = LazyLock::new(|| Pieces::of(&transactions(70, 10_000)).unwrap());

/// What came of an assembly.
#[derive(Debug, Default)]
struct Outcome {
    assembled: Option<(Arc<ProposedBlock>, Source)>,
    blamed: BTreeSet<PeerId>,
    requests: usize,
    /// Pieces and transactions that each peer gave.
    pieces_of: Vec<usize>,
    took: Duration,
}

/// An assembly among peers, in virtual time.
struct World {
    block: Arc<ProposedBlock>,
    peers: Vec<(PeerId, Peer)>,
    /// Answers on their way.
    mail: Vec<(Instant, Input)>,
    now: Instant,
    start: Instant,
    outcome: Outcome,
}

impl World {
    fn new(block: &Arc<ProposedBlock>, peers: &[Peer]) -> Self {
        let start = Instant::now();
        let peers: Vec<_> = peers.iter().map(|peer| (PeerId::random(), *peer)).collect();
        let outcome = Outcome { pieces_of: vec![0; peers.len()], ..Outcome::default() };
        Self { block: block.clone(), peers, mail: Vec::new(), now: start, start, outcome }
    }

    fn run(mut self, compact: CompactBlock, slots: Vec<Option<Transaction>>) -> Outcome {
        let ids: Vec<_> = self.peers.iter().map(|(id, _)| *id).collect();
        let (mut assembly, mut outputs) =
            Assembly::start(Arc::new(compact), PeerId::random(), slots, ids.clone(), self.now);
        loop {
            for output in outputs {
                match output {
                    Output::Ask(peer, request) => self.answer(peer, request),
                    Output::Hold(commitment, pieces) => {
                        assert!(pieces.iter().all(|piece| commitment.holds(piece)), "only what is proven is held");
                    }
                    // Twice, where it lied about a part and about all.
                    Output::Blame(peer) => drop(self.outcome.blamed.insert(peer)),
                    Output::Assembled(block, source) => {
                        self.outcome.assembled = Some((block, source));
                        return self.end();
                    }
                    Output::Failed => return self.end(),
                }
            }
            let due = assembly.next_due();
            let next = self.mail.iter().enumerate().min_by_key(|(_, (at, _))| *at).map(|(index, (at, _))| (index, *at));
            outputs = match next {
                Some((index, at)) if at <= due => {
                    self.now = self.now.max(at);
                    let (_, input) = self.mail.remove(index);
                    assembly.handle(input, self.now)
                }
                _ => {
                    self.now = self.now.max(due);
                    let outputs = assembly.handle(Input::Tick(ids.clone()), self.now);
                    // An answer may come in the very instant of a tick, but no two ticks do, unless the first was the last.
                    let is_over = matches!(outputs[..], [Output::Failed]);
                    assert!(is_over || assembly.next_due() > self.now, "time goes on");
                    outputs
                }
            };
        }
    }

    fn end(mut self) -> Outcome {
        self.outcome.took = self.now - self.start;
        if let Some((block, _)) = &self.outcome.assembled {
            assert_eq!(*block, self.block, "never a wrong block");
        }
        for (id, peer) in &self.peers {
            let may_be_blamed = *peer == Peer::Wrong || *peer == Peer::Short;
            assert!(may_be_blamed || !self.outcome.blamed.contains(id), "{peer:?} is innocent");
        }
        self.outcome
    }

    fn answer(&mut self, peer: PeerId, request: Request) {
        self.outcome.requests += 1;
        assert!(self.outcome.requests < 400, "requests are bounded");
        let index = self.peers.iter().position(|(id, _)| *id == peer).unwrap();
        let behaviour = self.peers[index].1;
        let delay = match behaviour {
            Peer::Honest(milliseconds) => milliseconds,
            Peer::Silent => return,
            _ => 10,
        };
        let input = match request {
            Request::BlockTransactions(request) => {
                Input::Transactions(peer, request.indices.clone(), self.transactions(behaviour, &request.indices))
            }
            Request::BlockPieces(request) => Input::Pieces(peer, self.pieces(index, behaviour, request)),
            request => panic!("{request:?}"),
        };
        self.mail.push((self.now + Duration::from_millis(delay), input));
    }

    fn transactions(&self, behaviour: Peer, indices: &IndexSet) -> Option<Vec<Transaction>> {
        let all = &self.block.block.body.transactions;
        let wanted = |(index, _): &(usize, &Transaction)| indices.is_empty() || indices.contains(*index);
        let mut right: Vec<_> =
            all.iter().enumerate().filter(wanted).map(|(_, transaction)| transaction.clone()).collect();
        match behaviour {
            Peer::Honest(_) => Some(right),
            Peer::Wrong => Some(right.iter().map(|_| transaction(999, 50)).collect()),
            Peer::Short => {
                right.pop();
                Some(right)
            }
            _ => None,
        }
    }

    fn pieces(&mut self, index: usize, behaviour: Peer, request: BlockPiecesRequest) -> PiecesAnswer {
        let piece = |index| LARGE_PIECES.get(index).unwrap();
        match behaviour {
            Peer::Honest(_) if request.root != LARGE_PIECES.commitment().root => PiecesAnswer::Denied,
            Peer::Honest(_) => {
                self.outcome.pieces_of[index] += request.indices.len();
                PiecesAnswer::Some(request.indices.iter().map(piece).collect())
            }
            Peer::Wrong => {
                let damaged = |index| Piece { index: index as u16, shard: vec![0; 16 << 10].into(), path: Vec::new() };
                PiecesAnswer::Some(request.indices.iter().map(damaged).collect())
            }
            Peer::Denies => PiecesAnswer::Denied,
            _ => PiecesAnswer::Some(Vec::new()),
        }
    }
}

/// The pool's part of a block: those that `has` says.
fn pool(block: &ProposedBlock, has: impl Fn(usize) -> bool) -> Vec<Option<Transaction>> {
    let transactions = block.block.body.transactions.iter().enumerate();
    transactions.map(|(index, transaction)| has(index).then(|| transaction.clone())).collect()
}

fn ids(compact: &mut CompactBlock) -> &mut TransactionIds {
    match &mut compact.transactions {
        CompactTransactions::Ids(ids) => ids,
        CompactTransactions::Whole(_) => panic!("not named"),
    }
}

fn some_peer() -> impl Strategy<Value = Peer> {
    prop_oneof![
        (0u64..2_000).prop_map(Peer::Honest),
        Just(Peer::Absent),
        Just(Peer::Silent),
        Just(Peer::Wrong),
        Just(Peer::Short),
        Just(Peer::Denies),
    ]
}

/// How the compact block itself is wrong.
#[derive(Clone, Copy, Debug)]
enum Lie {
    None,
    Reordered,
    Invented,
    TooMany,
    TooFew,
    OtherPieces,
}

fn some_lie() -> impl Strategy<Value = Lie> {
    prop_oneof![
        4 => Just(Lie::None),
        1 => Just(Lie::Reordered),
        1 => Just(Lie::Invented),
        1 => Just(Lie::TooMany),
        1 => Just(Lie::TooFew),
        1 => Just(Lie::OtherPieces),
    ]
}

fn tell(lie: Lie, compact: &mut CompactBlock) {
    let ids = ids(compact);
    match lie {
        Lie::None => {}
        Lie::Reordered => ids.ids.swap(0, 5),
        Lie::Invented => ids.ids[3] = ShortId::new([9; 6]),
        Lie::TooMany => ids.ids.push(ShortId::new([9; 6])),
        Lie::TooFew => drop(ids.ids.pop()),
        Lie::OtherPieces => ids.pieces = Some(OTHER_PIECES.commitment()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn the_block_is_the_right_one_or_none(
        peers in proptest::collection::vec(some_peer(), 0..12),
        large in any::<bool>(),
        lie in some_lie(),
        known in proptest::collection::vec(any::<bool>(), 60),
        cold in any::<bool>(),
        colliding in proptest::option::of(0usize..40),
    ) {
        let block = if large { &*LARGE } else { &*SMALL };
        let mut compact = compact(block);
        tell(lie, &mut compact);
        let mut slots = pool(block, |index| !cold && known[index]);
        if let Some(index) = colliding {
            slots[index] = Some(transaction(500, 20));
        }
        let is_complete = slots.iter().all(Option::is_some);
        let has_honest = peers.iter().any(|peer| matches!(peer, Peer::Honest(_)));
        let outcome = World::new(block, &peers).run(compact, slots);
        prop_assert!(outcome.took <= LIFETIME);
        if has_honest {
            prop_assert!(outcome.assembled.is_some(), "one honest peer is enough");
        } else if !is_complete {
            prop_assert!(outcome.assembled.is_none() || peers.contains(&Peer::Short), "from nobody comes nothing");
        }
    }
}

#[test]
fn a_full_pool_asks_nobody() {
    let outcome = World::new(&SMALL, &[Peer::Honest(10)]).run(compact(&SMALL), pool(&SMALL, |_| true));
    assert_eq!((outcome.requests, outcome.assembled.unwrap().1), (0, Source::Pool));
}

#[test]
fn what_is_missing_comes_in_one_round_trip_from_the_announcer() {
    for has in [|_: usize| false, |index: usize| !index.is_multiple_of(3)] {
        let outcome = World::new(&SMALL, &[Peer::Honest(10), Peer::Wrong]).run(compact(&SMALL), pool(&SMALL, has));
        assert_eq!((outcome.requests, outcome.assembled.unwrap().1), (1, Source::Request));
        assert_eq!(outcome.took, Duration::from_millis(10));
    }
}

#[test]
fn a_collision_or_a_lie_in_the_names_costs_one_more_request() {
    let peers = [Peer::Honest(10), Peer::Honest(10)];
    let mut slots = pool(&SMALL, |_| true);
    slots[4] = Some(transaction(500, 20));
    let collision = World::new(&SMALL, &peers).run(compact(&SMALL), slots);
    assert_eq!((collision.requests, collision.assembled.unwrap().1), (1, Source::Whole));
    for lie in [Lie::Invented, Lie::TooMany, Lie::Reordered, Lie::TooFew] {
        let mut compact = compact(&SMALL);
        tell(lie, &mut compact);
        let mut slots = pool(&SMALL, |index| index != 3);
        if matches!(lie, Lie::Reordered) {
            slots.swap(0, 5);
        }
        let outcome = World::new(&SMALL, &peers).run(compact, slots);
        assert_eq!(outcome.requests, 2, "{lie:?}");
        assert!(outcome.blamed.is_empty(), "nobody can be shown to have lied");
    }
}

#[test]
fn a_wrong_answer_is_its_senders_fault() {
    for peer in [Peer::Wrong, Peer::Short] {
        let outcome =
            World::new(&SMALL, &[peer, Peer::Honest(10)]).run(compact(&SMALL), pool(&SMALL, |index| index > 9));
        assert_eq!((outcome.requests, outcome.blamed.len()), (2, 1), "{peer:?}");
        assert_eq!(outcome.assembled.unwrap().1, Source::Whole);
    }
}

#[test]
fn silence_costs_its_time_and_no_more() {
    let outcome = World::new(&SMALL, &[Peer::Silent, Peer::Silent, Peer::Honest(10)]).run(compact(&SMALL), Vec::new());
    assert_eq!(outcome.took, PATIENCE + Duration::from_millis(10));
    assert!(outcome.blamed.is_empty(), "a silent peer has not lied");
}

#[test]
fn a_large_block_comes_in_pieces_and_nobody_serves_it_all() {
    let outcome = World::new(&LARGE, &[Peer::Honest(10); 4]).run(compact(&LARGE), Vec::new());
    assert_eq!(outcome.assembled.as_ref().unwrap().1, Source::Pieces);
    assert_eq!(outcome.took, Duration::from_millis(10), "one round trip");
    let data = LARGE_PIECES.commitment().layout().data;
    assert_eq!(outcome.pieces_of.iter().sum::<usize>(), data, "nothing twice");
    assert!(outcome.pieces_of.iter().all(|pieces| *pieces <= data.div_ceil(4)), "{:?}", outcome.pieces_of);
}

#[test]
fn a_large_block_that_is_mostly_here_is_filled() {
    let outcome = World::new(&LARGE, &[Peer::Honest(10)]).run(compact(&LARGE), pool(&LARGE, |index| index % 3 > 0));
    assert_eq!((outcome.requests, outcome.assembled.unwrap().1), (1, Source::Request));
}

#[test]
fn neighbours_are_asked_for_different_pieces() {
    let neighbours: Vec<_> = (0..3).map(|_| PeerId::random()).collect();
    let first = |own: PeerId, announcer: PeerId, others: &[PeerId]| {
        let peers = [&[announcer], others].concat();
        let mut gathering = Gathering::new(LARGE.hash(), own, LARGE_PIECES.commitment(), Instant::now());
        gathering.ask(&peers, Instant::now())
    };
    let (announcer, own) = (PeerId::random(), PeerId::random());
    let asked = first(own, announcer, &neighbours);
    // What the neighbour asks the announcer for is, as far as nobody took it before, what it is asked for.
    let of_neighbour = first(neighbours[0], announcer, &[own]);
    let shared = asked[1].1.iter().filter(|index| of_neighbour[0].1.contains(*index)).count();
    let taken = asked[0].1.iter().filter(|index| of_neighbour[0].1.contains(*index)).count();
    assert!(shared + taken >= asked[1].1.len().min(of_neighbour[0].1.len()), "{asked:?} {of_neighbour:?}");
}

#[test]
fn pieces_of_another_block_end_in_asking_for_all() {
    let mut compact = compact(&LARGE);
    tell(Lie::OtherPieces, &mut compact);
    let outcome = World::new(&LARGE, &[Peer::Honest(10); 3]).run(compact, Vec::new());
    assert_eq!(outcome.assembled.unwrap().1, Source::Whole);
    assert!(outcome.blamed.is_empty() && outcome.took < PATIENCE);
}

#[test]
fn wrong_pieces_are_their_senders_fault() {
    let outcome =
        World::new(&LARGE, &[Peer::Wrong, Peer::Honest(10), Peer::Honest(10)]).run(compact(&LARGE), Vec::new());
    assert_eq!(outcome.blamed.len(), 1);
    assert_eq!(outcome.assembled.unwrap().1, Source::Pieces);
}

#[test]
fn what_arrives_as_its_time_runs_out_is_no_hurry() {
    let peers = [Peer::Denies, Peer::Denies, Peer::Honest(410)];
    let outcome = World::new(&LARGE, &peers).run(compact(&LARGE), Vec::new());
    assert_eq!(outcome.assembled.unwrap().1, Source::Whole);
}
