//! The queue of events, and what each does.

mod effects;

use super::chain::{ServedChain, Shape};
use super::joiner::Joiner;
use super::peer::{Manner, Peer, name};
use super::scenario::{Scenario, Stop};
use crate::time::{MILLISECOND, Micros, SECOND};
use crate::trace::Trace;
use alloy_primitives::B256;
use heddle_primitives::{Checkpoint, Height, Pivot, Response, SnapshotOffer, StateTask};
use heddle_state::AcceptError;
use heddle_sync::{PeerId, Piece, StateInput, StateSyncConfig};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The longest that a run may take after the last interruption.
const TIME_MAX: Micros = 600 * SECOND;
const TICK: Micros = 250 * MILLISECOND;

/// What will happen.
enum Event {
    Tick,
    /// An answer arrives, which cannot be true if the flag says so.
    Answer(u64, usize, Option<Response>, bool),
    /// An answer is verified.
    Store(Box<Piece>, bool),
    Planned(Vec<StateTask>),
    Finished,
    Stop(Stop, Micros),
    Start(Stop),
}

/// How a run went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Hash of everything that happened.
    pub trace_hash: B256,
    /// When it ended, in microseconds of virtual time.
    pub ended_at: Micros,
    /// How often another state was chosen, beyond the first of each life.
    pub moves: u64,
    /// How often the node stopped.
    pub stops: u64,
    /// Who was named, by manner.
    pub blamed: BTreeMap<Manner, u64>,
    /// Whether there was nothing to fetch.
    pub is_empty: bool,
}

pub struct World {
    scenario: Scenario,
    config: StateSyncConfig,
    rng: ChaCha8Rng,
    chain: std::sync::Arc<ServedChain>,
    peers: Vec<Peer>,
    joiner: Joiner,
    is_running: bool,
    life: u64,
    now: Micros,
    queue: BTreeMap<(Micros, u64), (u64, Event)>,
    sent: u64,
    /// Who was named in this life.
    named: BTreeSet<usize>,
    connected: Vec<usize>,
    /// What each was heard to offer in this life.
    offered: BTreeMap<usize, Vec<SnapshotOffer>>,
    /// Which answers in flight or being verified cannot be true.
    wrong: BTreeMap<(usize, u64), Response>,
    planned: Option<Pivot>,
    /// What was fetched last, in any life.
    last_pivot: Option<Height>,
    summary: Summary,
    ended: bool,
}

fn id(peer: usize) -> PeerId {
    PeerId::new(vec![peer as u8])
}

fn index(peer: &PeerId) -> usize {
    peer.as_bytes().first().copied().map_or(0, usize::from)
}

impl World {
    /// Everything at its place, the node about to start.
    pub fn new(scenario: Scenario) -> Result<Self, String> {
        let shape = |is_other| Shape { has_registry: scenario.has_registry, is_other };
        let (chain, other) = (ServedChain::of(shape(false)), ServedChain::of(shape(true)));
        let peers = scenario.peers.iter().map(|(manner, started_at)| {
            let chain = if *manner == Manner::OtherChain { &other } else { &chain };
            Peer::new(*manner, std::sync::Arc::clone(chain), *started_at, scenario.bytes_max)
        });
        let peers = peers.collect();
        let checkpoint = scenario
            .has_checkpoint
            .then(|| Checkpoint { height: Height::new(scenario.head / 2), hash: chain.hash(scenario.head / 2) });
        let config = StateSyncConfig { answer_bytes_min: scenario.bytes_max, checkpoint, ..Default::default() };
        let joiner = Joiner::new(&chain.genesis, &config)?;
        let mut world = Self {
            rng: ChaCha8Rng::seed_from_u64(!scenario.seed),
            config,
            chain,
            peers,
            joiner,
            is_running: true,
            life: 0,
            now: 0,
            queue: BTreeMap::new(),
            sent: 0,
            named: BTreeSet::new(),
            connected: Vec::new(),
            offered: BTreeMap::new(),
            wrong: BTreeMap::new(),
            planned: None,
            last_pivot: None,
            summary: Summary {
                trace_hash: B256::ZERO,
                ended_at: 0,
                moves: 0,
                stops: 0,
                blamed: BTreeMap::new(),
                is_empty: false,
            },
            ended: false,
            scenario,
        };
        world.after(0, Event::Tick);
        for (at, stop, pause) in world.scenario.stops.clone() {
            world.after(at, Event::Stop(stop, pause));
        }
        Ok(world)
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// The rule that was broken.
    pub fn run(mut self, trace: &mut Trace) -> Result<Summary, String> {
        while !self.ended {
            let ((at, _), (life, event)) = self.queue.pop_first().ok_or("nothing happens any more")?;
            self.now = at;
            let is_of_this_life = life == self.life || matches!(event, Event::Stop(..) | Event::Start(_));
            if is_of_this_life && !self.ended {
                self.happen(event, trace)?;
            }
            if self.now > TIME_MAX {
                let (stage, pivot) = (self.joiner.core.stage(), self.joiner.core.pivot_height());
                return Err(format!("it has not ended in time: {stage:?}, pivot {pivot:?}"));
            }
        }
        self.summary.ended_at = self.now;
        self.summary.trace_hash = trace.hash();
        Ok(self.summary)
    }

    fn after(&mut self, delay: Micros, event: Event) {
        self.sent += 1;
        self.queue.insert((self.now + delay, self.sent), (self.life, event));
    }

    fn delay(&mut self, from_ms: u64, to_ms: u64) -> Micros {
        self.rng.random_range(from_ms * MILLISECOND..to_ms * MILLISECOND)
    }

    fn happen(&mut self, event: Event, trace: &mut Trace) -> Result<(), String> {
        match event {
            Event::Tick => {
                self.after(TICK, Event::Tick);
                // Connections come and go; those of honest peers last.
                let (peers, rng) = (&self.peers, &mut self.rng);
                let lasts = |peer: &usize| peers[*peer].manner == Manner::Honest || rng.random_ratio(49, 50);
                self.connected = (0..peers.len()).filter(lasts).collect();
                // Who leaves is forgotten, unless it was named.
                self.offered.retain(|peer, _| self.connected.contains(peer));
                let connected = self.connected.iter().map(|peer| id(*peer)).collect();
                self.feed(StateInput::Tick(connected), trace)
            }
            Event::Answer(request, peer, response, is_wrong) => {
                let Some(response) = response else { return self.feed(StateInput::Failed(request), trace) };
                if let Response::Snapshots(offers) = &response {
                    self.offered.insert(peer, offers.clone());
                }
                if is_wrong {
                    self.wrong.insert((peer, request), response.clone());
                }
                self.feed(StateInput::Answered(request, response), trace)
            }
            Event::Store(piece, is_wrong) => self.store(*piece, is_wrong, trace),
            Event::Planned(tasks) => self.feed(StateInput::Planned(tasks), trace),
            Event::Finished => self.feed(StateInput::Finished, trace),
            Event::Stop(stop, pause) => self.stop(stop, pause, trace),
            Event::Start(stop) => {
                trace.note(self.now, 0, &"starts");
                let lost = self.rng.random_range(0..5);
                self.config.resumed = self.last_pivot;
                self.joiner.restart(&self.chain.genesis, &self.config, stop, lost)?;
                self.is_running = true;
                self.happen(Event::Tick, trace)
            }
        }
    }

    fn stop(&mut self, stop: Stop, pause: Micros, trace: &mut Trace) -> Result<(), String> {
        if !self.is_running {
            return Ok(());
        }
        trace.note(self.now, 0, &format!("stops: {stop:?}"));
        // A piece that was written, but nobody heard of it.
        let being_stored =
            self.queue.iter().find(|(_, (life, event))| *life == self.life && matches!(event, Event::Store(..)));
        if let Some(key) = being_stored.map(|(key, _)| *key).filter(|_| self.rng.random_ratio(1, 2))
            && let Some((_, Event::Store(piece, _))) = self.queue.remove(&key)
            && let Err(AcceptError::Ours(error)) = self.joiner.accept(piece.pivot, piece.task, piece.response)
        {
            return Err(error.to_string());
        }
        self.summary.stops += 1;
        self.is_running = false;
        self.life += 1;
        self.named.clear();
        self.offered.clear();
        self.wrong.clear();
        self.planned = None;
        self.after(pause, Event::Start(stop));
        Ok(())
    }

    fn store(&mut self, piece: Piece, is_wrong: bool, trace: &mut Trace) -> Result<(), String> {
        let Piece { id, peer, pivot, task, response } = piece;
        let (kind, peer) = (name(&task), index(&peer));
        match self.joiner.accept(pivot, task, response) {
            Ok(_) if is_wrong => Err(format!("{kind} of {:?} (peer {peer}) was stored", self.peers[peer].manner)),
            Ok(tasks) => {
                trace.note(self.now, peer, &format!("gave {kind}, {} tasks follow", tasks.len()));
                self.feed(StateInput::Accepted(id, tasks), trace)
            }
            Err(AcceptError::Peer(error)) => {
                self.feed(StateInput::Refuted(id, error.to_string()), trace)?;
                match self.named.contains(&peer) {
                    true => Ok(()),
                    false => Err(format!("peer {peer} sent what is wrong ({error}), and was not named")),
                }
            }
            Err(AcceptError::Ours(error)) => Err(format!("cannot store {kind}: {error}")),
        }
    }

    fn feed(&mut self, input: StateInput, trace: &mut Trace) -> Result<(), String> {
        for output in self.joiner.core.handle(Duration::from_micros(self.now), input) {
            self.carry_out(output, trace)?;
        }
        Ok(())
    }
}
