//! The sync loop: feeds the state with what peers answer and the chain commits, and carries out what it decides.

use super::application::Application;
use super::{Env, Stop};
use crate::event::{Effect, Event};
use crate::time::{MILLISECOND, Micros};
use heddle_chain::{ChainError, Fault};
use heddle_consensus::CatchUp;
use heddle_primitives::{FinalizedBlock, Height, Request, Response};
use heddle_sync::{Input, Output, PeerFault, PeerId, State, SyncConfig, verify};
use rand::Rng;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

/// Blocks that are being committed, one by one.
struct Import {
    peer: PeerId,
    from: Height,
    blocks: VecDeque<FinalizedBlock>,
    wrong_list: Option<PeerFault>,
}

/// The state with what the loop keeps.
pub struct Syncing {
    state: State,
    config: SyncConfig,
    started: Micros,
    peers: Vec<PeerId>,
    /// What peers were asked and have not answered.
    requests: BTreeMap<u64, (PeerId, Request)>,
    request_number: u64,
    import: Option<Import>,
}

fn peer(index: usize) -> PeerId {
    PeerId::new(vec![index as u8])
}

fn index(peer: &PeerId) -> usize {
    peer.as_bytes().first().copied().map_or(0, usize::from)
}

impl Syncing {
    /// Starts at a head.
    pub fn start(head: Height, env: &mut Env<'_>) -> Self {
        let config = SyncConfig::default();
        env.after(env.now % 7 * MILLISECOND, Event::Tick);
        // Numbers of another life must not be answered in this one.
        let request_number = env.rng.random::<u32>().into();
        let (own, nodes) = (env.machine.index, env.machine.nodes);
        Self {
            state: State::new(config.clone(), head),
            config,
            started: env.now,
            peers: (0..nodes).filter(|index| *index != own).map(peer).collect(),
            requests: BTreeMap::new(),
            request_number,
            import: None,
        }
    }

    /// Looks around, and will again.
    pub fn on_tick(&mut self, application: &Application, env: &mut Env<'_>) {
        env.after((self.config.status_interval / 4).as_micros() as Micros, Event::Tick);
        self.feed(Input::Tick(self.peers.clone()), application, env);
    }

    /// Looks around because somebody is ahead.
    pub fn on_wake(&mut self, application: &Application, env: &mut Env<'_>) {
        self.feed(Input::Wake(self.peers.clone()), application, env);
    }

    /// A peer answered, or could not be reached.
    pub fn on_response(
        &mut self,
        from: usize,
        id: u64,
        response: Option<Rc<Response>>,
        application: &Application,
        env: &mut Env<'_>,
    ) {
        let Some((peer, request)) = self.requests.remove(&id) else { return };
        let response = response.filter(|_| index(&peer) == from).map(|response| Response::clone(&response));
        let input = match (request, response) {
            (Request::Status, Some(Response::Status(status))) => Input::Status(peer, status),
            (Request::Blocks(range), Some(Response::Blocks(blocks))) => Input::Blocks(peer, range, blocks),
            (request, Some(_)) => Input::Failed(peer, request, Some(PeerFault::WrongAnswer)),
            (request, None) => Input::Failed(peer, request, None),
        };
        self.feed(input, application, env);
    }

    /// A request took too long, unless it was answered.
    pub fn on_expired(&mut self, id: u64, application: &Application, env: &mut Env<'_>) {
        if let Some((peer, request)) = self.requests.remove(&id) {
            self.feed(Input::Failed(peer, request, None), application, env);
        }
    }

    /// Commits the next block of the import.
    ///
    /// # Errors
    /// The process ends.
    pub fn on_import(&mut self, application: &mut Application, env: &mut Env<'_>) -> Result<(), Stop> {
        let Some(import) = &mut self.import else { return Ok(()) };
        let fault = match import.blocks.pop_front() {
            Some(block) => match commit(block, &mut import.wrong_list, application, env)? {
                None => {
                    let delay = env.work(MILLISECOND, 5 * MILLISECOND);
                    env.after(delay, Event::Import);
                    return Ok(());
                }
                fault => fault,
            },
            None => import.wrong_list.take(),
        };
        let Some(Import { peer, from, .. }) = self.import.take() else { return Ok(()) };
        self.feed(Input::Imported(peer, from, fault), application, env);
        Ok(())
    }

    /// Where this node stands among its peers.
    pub fn catch_up(&self) -> CatchUp {
        let status = self.state.status();
        CatchUp { peers: status.peers, head: status.current, common: status.common }
    }

    fn feed(&mut self, input: Input, application: &Application, env: &mut Env<'_>) {
        let elapsed = Duration::from_micros(env.now - self.started);
        for output in self.state.handle(elapsed, application.head(), input) {
            match output {
                Output::Ask(peer, request) => {
                    self.request_number += 1;
                    env.effects.push(Effect::Ask(index(&peer), self.request_number, request.clone()));
                    env.after(self.config.request_timeout.as_micros() as Micros, Event::Expired(self.request_number));
                    self.requests.insert(self.request_number, (peer, request));
                }
                Output::Import(peer, from, blocks) => {
                    self.import = Some(Import { peer, from, blocks: blocks.into(), wrong_list: None });
                    let delay = env.work(MILLISECOND, 5 * MILLISECOND);
                    env.after(delay, Event::Import);
                }
                Output::Report(peer, fault) => {
                    env.effects.push(Effect::Note(format!("blames node {}: {fault}", index(&peer))));
                }
            }
        }
    }
}

/// Verifies and commits one block, as the sync service does; what its sender did wrong ends the import.
fn commit(
    block: FinalizedBlock,
    wrong_list: &mut Option<PeerFault>,
    application: &mut Application,
    env: &mut Env<'_>,
) -> Result<Option<PeerFault>, Stop> {
    let height = Height::new(block.proposed.block.header.number);
    if height <= application.head() {
        return Ok(None);
    }
    let context = env.machine.fixture.genesis.signing_context();
    let Some(validators) = application.validators(height)? else { return Ok(None) };
    let (verified, mismatch) = verify(block, &validators, &context);
    if let (None, Some(mismatch)) = (&wrong_list, mismatch) {
        *wrong_list = Some(PeerFault::WrongAccessList(height, mismatch));
    }
    let invalid = |reason: String| Ok(Some(PeerFault::InvalidBlock(format!("block {height}: {reason}"))));
    let block = match verified {
        Ok(block) => block,
        Err(error) => return invalid(error.to_string()),
    };
    env.step()?;
    match application.commit(&block) {
        Ok(()) => {}
        Err(ChainError::NotNext { .. }) => return Ok(None),
        Err(error) if error.fault() == Fault::Peer => return invalid(error.to_string()),
        Err(error) => return Err(Stop::Fault(format!("cannot commit block {height}: {error}"))),
    }
    env.effects.push(Effect::Committed(Box::new(block)));
    let delay = env.rng.random_range(0..=2 * MILLISECOND);
    env.after(delay, Event::HeadMoved(height));
    env.step()?;
    Ok(None)
}
