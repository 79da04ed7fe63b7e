//! From genesis to the pivot, by what a file says of that.

use super::format::{BlockChunk, Chunk, PivotChunk, SnapshotFileError};
use super::reader::Reader;
use alloy_primitives::Sealable;
use heddle_chain::{AdoptedBase, ChainRules, check_finalized};
use heddle_primitives::{
    CertifiedHeader, Checkpoint, Epoch, EpochStep, Genesis, Height, LightClient, Pivot, SealedHeader, ValidatorSet,
    VerifiedHeader,
};
use std::error::Error;
use std::io::Read;

/// What is known before the first piece of the state is read.
pub struct Trusted {
    /// The pivot with all that a chain needs to begin with it.
    pub base: AdoptedBase,
    /// Its block, where the file has it.
    pub block: Option<Box<BlockChunk>>,
    /// The last end of an epoch before it.
    pub last_step: Option<EpochStep>,
}

impl Trusted {
    /// The state in the file.
    pub fn pivot(&self) -> Pivot {
        let header = self.base.pivot.header();
        Pivot { height: Height::new(header.number), state_root: header.state_root }
    }

    /// Reads up to the first piece, which is returned too, and follows the chain of `genesis` through it.
    pub fn read<R: Read>(
        reader: &mut Reader<R>,
        genesis: &Genesis,
        checkpoint: Option<Checkpoint>,
    ) -> Result<(Self, Chunk), Box<dyn Error>> {
        let Chunk::Pivot(pivot) = reader.next_chunk()? else { return Err(reader.wrong("it is not the pivot").into()) };
        if pivot.genesis != genesis.hash() {
            let reason = format!("the state is of the chain with genesis {}, not {}", pivot.genesis, genesis.hash());
            return Err(reader.wrong(reason).into());
        }
        let client = LightClient::new(genesis);
        let client = client.ok_or("the genesis has no heddle section: no certificate makes its blocks final")?;
        let mut way = Way { client, sets: Vec::new(), last_step: None, checkpoint };
        let Chunk::Ancestors(headers) = way.follow_steps(reader)? else {
            return Err(reader.wrong("the headers before the pivot are missing").into());
        };
        let ancestors: Vec<_> = headers.into_iter().map(Sealable::seal_slow).collect();
        let parent = ancestors.last().unwrap_or(genesis.header()).clone();
        let pivot = way.reach(*pivot, parent).map_err(|error| reader.wrong(error))?;
        ancestors.iter().try_for_each(|header| way.meet(header)).map_err(|error| reader.wrong(error))?;
        let base = AdoptedBase { pivot, ancestors, validator_sets: way.sets.clone() };
        base.verify(genesis).map_err(|error| reader.wrong(error))?;
        way.require_checkpoint()?;
        let mut chunk = reader.next_chunk()?;
        let mut block = None;
        if let Chunk::Block(found) = chunk {
            check_finalized(&ChainRules::new(genesis), base.pivot.header(), &found.block, &found.receipts)
                .map_err(|error| reader.wrong(error))?;
            block = Some(found);
            chunk = reader.next_chunk()?;
        }
        Ok((Self { base, block, last_step: way.last_step }, chunk))
    }
}

/// A light client on its way, and what it met.
struct Way {
    client: LightClient,
    sets: Vec<(Epoch, ValidatorSet)>,
    last_step: Option<EpochStep>,
    /// What it still has to meet.
    checkpoint: Option<Checkpoint>,
}

impl Way {
    /// Goes by the ends of epochs; returns the first chunk that holds none.
    fn follow_steps<R: Read>(&mut self, reader: &mut Reader<R>) -> Result<Chunk, SnapshotFileError> {
        loop {
            match reader.next_chunk()? {
                Chunk::Steps(steps) => {
                    steps.iter().try_for_each(|step| self.end_epoch(step)).map_err(|error| reader.wrong(error))?;
                }
                other => return Ok(other),
            }
        }
    }

    fn end_epoch(&mut self, step: &EpochStep) -> Result<(), Box<dyn Error>> {
        let before = self.client.validators().clone();
        self.client.end_epoch(step)?;
        if *self.client.validators() != before {
            self.sets.push((self.client.epoch(), self.client.validators().clone()));
        }
        self.last_step = Some(step.clone());
        Ok(self.meet(&self.client.header().clone())?)
    }

    /// Ends at the pivot; `parent` is the header before it.
    fn reach(&mut self, pivot: PivotChunk, parent: SealedHeader) -> Result<VerifiedHeader, Box<dyn Error>> {
        let PivotChunk { header, certificate, .. } = pivot;
        let client = self.client.clone().trusting(parent, self.client.validators().clone());
        self.client.advance(header.clone(), &certificate)?;
        self.meet(&self.client.header().clone())?;
        let linked = { client }.follow_linked(vec![CertifiedHeader { header, certificate, members: None }])?;
        Ok(linked.into_iter().next().ok_or("it is not the header after the one before it")?)
    }

    fn meet(&mut self, header: &SealedHeader) -> Result<(), String> {
        let Some(checkpoint) = self.checkpoint.take_if(|checkpoint| checkpoint.height.as_u64() == header.number) else {
            return Ok(());
        };
        match checkpoint.hash == header.seal() {
            true => Ok(()),
            false => {
                let (number, found, expected) = (header.number, header.seal(), checkpoint.hash);
                Err(format!(
                    "block {number} is {found} there, {expected} by the checkpoint: one of them is of another chain"
                ))
            }
        }
    }

    fn require_checkpoint(&self) -> Result<(), String> {
        match self.checkpoint {
            None => Ok(()),
            Some(Checkpoint { height, .. }) => Err(format!(
                "the file does not show block {height} of the checkpoint: it has the last block, up to 256 before, and the ends of \
                 epochs"
            )),
        }
    }
}
