//! The sync loop: feeds the state with what peers answer and the chain commits, and carries out what it decides.

use super::application::Application;
use super::{Env, Stop};
use crate::event::{Effect, Event};
use crate::time::{MILLISECOND, Micros};
use heddle_chain::{ChainError, Fault, RecoveredCertifiedBlock};
use heddle_consensus::CatchUp;
use heddle_primitives::{CertifiedHeader, Height, LightClient, ProposedBlock, Request, Response, VerifiedHeader};
use heddle_sync::{Input, Output, PeerFault, PeerId, State, SyncConfig, can_follow, match_blocks, verify_headers};
use rand::Rng;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

/// Blocks that are being committed, one by one.
struct Import {
    peer: PeerId,
    from: Height,
    blocks: VecDeque<RecoveredCertifiedBlock>,
}

/// What is being checked beside everything else.
enum Check {
    Headers(PeerId, Vec<CertifiedHeader>),
    Blocks(PeerId, Height, Vec<(ProposedBlock, VerifiedHeader)>),
}

/// The state with what the loop keeps.
pub struct Syncing {
    state: State<RecoveredCertifiedBlock>,
    config: SyncConfig,
    started: Micros,
    peers: Vec<PeerId>,
    /// What peers were asked and have not answered.
    requests: BTreeMap<u64, (PeerId, Request)>,
    request_number: u64,
    /// Where the last verified headers led.
    client: Option<LightClient>,
    /// In the order in which they end.
    checks: VecDeque<Check>,
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
            client: None,
            checks: VecDeque::new(),
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
            (Request::Headers(range), Some(Response::Headers(headers))) => Input::Headers(peer, range, headers),
            (Request::Blocks(range), Some(Response::Blocks(blocks))) => Input::Blocks(peer, range, blocks),
            (request, Some(Response::Refused(refusal))) => Input::Refused(peer, request, refusal),
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

    /// The first check ends.
    ///
    /// # Errors
    /// The chain's.
    pub fn on_checked(&mut self, application: &Application, env: &mut Env<'_>) -> Result<(), Stop> {
        let input = match self.checks.pop_front() {
            Some(Check::Headers(peer, headers)) => {
                let client = self.client.take().filter(|client| can_follow(client, &headers));
                let mut client = client.map_or_else(|| application.light_client(), Ok)?;
                let result = verify_headers(&mut client, headers);
                self.client = Some(client);
                Input::Verified(peer, result)
            }
            Some(Check::Blocks(peer, from, blocks)) => {
                let (matched, fault) = match_blocks(blocks);
                let (ready, invalid) = application.recover(matched);
                Input::Prepared(peer, from, ready, invalid.map(PeerFault::InvalidBlock).or(fault))
            }
            None => return Ok(()),
        };
        self.feed(input, application, env);
        Ok(())
    }

    /// Commits the next block of the import.
    ///
    /// # Errors
    /// The process ends.
    pub fn on_import(&mut self, application: &mut Application, env: &mut Env<'_>) -> Result<(), Stop> {
        let Some(import) = &mut self.import else { return Ok(()) };
        let fault = match import.blocks.pop_front() {
            Some(block) => match commit(block, application, env)? {
                None => {
                    let delay = env.work(MILLISECOND, 5 * MILLISECOND);
                    env.after(delay, Event::Import);
                    return Ok(());
                }
                fault => fault,
            },
            None => None,
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

    fn feed(&mut self, input: Input<RecoveredCertifiedBlock>, application: &Application, env: &mut Env<'_>) {
        let elapsed = Duration::from_micros(env.now - self.started);
        for output in self.state.handle(elapsed, application.head(), input) {
            match output {
                Output::Ask(peer, request) => {
                    self.request_number += 1;
                    env.effects.push(Effect::Ask(index(&peer), self.request_number, request.clone()));
                    env.after(self.config.request_timeout.as_micros() as Micros, Event::Expired(self.request_number));
                    self.requests.insert(self.request_number, (peer, request));
                }
                Output::Verify(peer, headers) => self.check(Check::Headers(peer, headers), env),
                Output::Prepare(peer, from, blocks) => self.check(Check::Blocks(peer, from, blocks), env),
                Output::Import(peer, from, blocks) => {
                    self.import = Some(Import { peer, from, blocks: blocks.into() });
                    let delay = env.work(MILLISECOND, 5 * MILLISECOND);
                    env.after(delay, Event::Import);
                }
                Output::Report(peer, fault) => {
                    env.effects.push(Effect::Blames(index(&peer), fault));
                }
            }
        }
    }

    fn check(&mut self, check: Check, env: &mut Env<'_>) {
        self.checks.push_back(check);
        let delay = env.work(MILLISECOND, 5 * MILLISECOND);
        env.after(delay, Event::Checked);
    }
}

/// Commits one block, as the node does; what its sender did wrong ends the import.
fn commit(
    block: RecoveredCertifiedBlock,
    application: &mut Application,
    env: &mut Env<'_>,
) -> Result<Option<PeerFault>, Stop> {
    let certified = block.certified().clone();
    let height = Height::new(certified.proposed().block.header.number);
    if height <= application.head() {
        return Ok(None);
    }
    env.step()?;
    match application.commit_recovered(block) {
        Ok(()) => {}
        Err(ChainError::NotNext { .. }) => return Ok(None),
        Err(error) if error.fault() == Fault::Peer => {
            return Ok(Some(PeerFault::InvalidBlock(format!("block {height}: {error}"))));
        }
        Err(error) => return Err(Stop::Fault(format!("cannot commit block {height}: {error}"))),
    }
    env.effects.push(Effect::Committed(Box::new(certified)));
    let delay = env.rng.random_range(0..=2 * MILLISECOND);
    env.after(delay, Event::HeadMoved(height));
    env.step()?;
    Ok(None)
}
