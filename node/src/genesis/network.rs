//! A network's nodes and their files, from its description.

use super::description::{Description, Group};
use super::files::write_public;
use super::identities::{Identities, Identity};
use super::{chain, contradiction};
use alloy_primitives::B256;
use heddle_primitives::Genesis;
use std::error::Error;
use std::path::{Path, PathBuf};

/// Where the files of a node stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `DIR/node<N>` holds keys and configuration of a validator: the form that flags alone give.
    Flat,
    /// `DIR/keys/<node>` holds its keys, a directory for each target the rest.
    ByTarget,
}

/// What a node is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It votes.
    Validator,
    /// It follows the chain.
    Full,
    /// It serves JSON-RPC to others.
    Rpc,
}

impl Layout {
    fn name(self, role: Role, number: u16) -> String {
        match self {
            Self::Flat => format!("node{number}"),
            Self::ByTarget => format!("{}-{number}", role.name()),
        }
    }

    fn keys_dir(self, out: &Path, name: &str) -> PathBuf {
        match self {
            Self::Flat => out.join(name),
            Self::ByTarget => out.join("keys").join(name),
        }
    }
}

impl Role {
    /// What the names of such nodes begin with.
    pub fn name(self) -> &'static str {
        match self {
            Self::Validator => "validator",
            Self::Full => "full",
            Self::Rpc => "rpc",
        }
    }
}

/// A node of a network.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// What it is there for.
    pub role: Role,
    /// Its number among those of its role, from 0 on.
    pub number: u16,
    /// Its number among all nodes, in the order in which they came to the network.
    pub place: u16,
    /// What it is given.
    pub group: &'a Group,
    /// What others know it by.
    pub identity: &'a Identity,
}

/// A network whose keys and genesis are made.
#[derive(Debug)]
pub struct Network {
    /// What was asked for.
    pub description: Description,
    /// Where its files are.
    pub out: PathBuf,
    /// How they are arranged.
    pub layout: Layout,
    /// What others know its nodes by.
    pub identities: Identities,
    /// Its genesis.
    pub genesis: Genesis,
}

impl Network {
    /// Makes the keys and the genesis in a directory, or what is missing of them.
    ///
    /// # Errors
    /// When the directory holds another chain than is described, or a file cannot be made. Keys and genesis that are
    /// there are never changed.
    pub fn create(description: Description, out: PathBuf, layout: Layout) -> Result<Self, Box<dyn Error>> {
        description.check()?;
        let file = out.join("genesis.json");
        let kept = match (file.exists(), layout) {
            (false, _) => None,
            (true, Layout::ByTarget) => Some(Genesis::read(&file)?),
            (true, Layout::Flat) => {
                return Err(
                    format!("{} exists already: choose another --out, or remove it first", file.display()).into()
                );
            }
        };
        if let Some(kept) = &kept {
            contradiction::refuse(&description, kept).map_err(|reason| format!("{}: {reason}", file.display()))?;
        }
        std::fs::create_dir_all(&out).map_err(|error| format!("cannot create {}: {error}", out.display()))?;
        let identities = make_identities(&description, &out, layout)?;
        let genesis = match kept {
            Some(kept) => kept,
            None => {
                let keys = identities.all().iter().map(Identity::verifying_key).collect::<Result<Vec<_>, _>>()?;
                let genesis = description.chain(chain::validator_set(keys.into_iter().flatten())?)?;
                write_public(&file, &(genesis.to_json()? + "\n"))?;
                genesis
            }
        };
        Ok(Self { description, out, layout, identities, genesis })
    }

    /// The nodes of the description: validators, full nodes, RPC nodes.
    ///
    /// # Errors
    /// When one has no identity.
    pub fn nodes(&self) -> Result<Vec<Node<'_>>, String> {
        let node = |(role, number, group)| {
            let name = self.layout.name(role, number);
            let (place, identity) = self.identities.get(&name).ok_or_else(|| format!("{name} has no identity"))?;
            let place = u16::try_from(place).map_err(|_| format!("{name} is beyond the last port"))?;
            Ok(Node { role, number, place, group, identity })
        };
        self.description.members().map(node).collect()
    }

    /// Where a node finds all validators but itself, at the address that a target gives to each.
    ///
    /// # Errors
    /// As [`Self::nodes`], or the target's.
    pub fn peers_of(
        &self,
        node: &Node<'_>,
        address: impl Fn(&Node<'_>) -> Result<String, String>,
    ) -> Result<Vec<String>, String> {
        let others = self.nodes()?.into_iter().filter(|other| other.role == Role::Validator);
        let others = others.filter(|other| other.identity != node.identity);
        others.map(|other| Ok(format!("{}/p2p/{}", address(&other)?, other.identity.peer_id))).collect()
    }

    /// The name of a container or resource of a node.
    pub fn full_name(&self, node: &Node<'_>) -> String {
        format!("{}-{}", self.description.name, node.identity.name)
    }

    /// The directory of a node's keys.
    pub fn keys_dir(&self, node: &Node<'_>) -> PathBuf {
        self.layout.keys_dir(&self.out, &node.identity.name)
    }

    /// Names of the validators that genesis does not know: they vote once the registry has made them members.
    pub fn candidates(&self) -> Vec<&str> {
        let members = self.genesis.heddle().map_or(&[][..], |heddle| heddle.validators.validators());
        let is_member = |key: &B256| members.iter().any(|member| member.public_key.as_bytes() == key.as_slice());
        let candidates =
            self.identities.all().iter().filter(|identity| identity.public_key.is_some_and(|key| !is_member(&key)));
        candidates.map(|identity| identity.name.as_str()).collect()
    }
}

fn make_identities(description: &Description, out: &Path, layout: Layout) -> Result<Identities, Box<dyn Error>> {
    let mut identities = match layout {
        Layout::Flat => Identities::default(),
        Layout::ByTarget => Identities::open(out)?,
    };
    for (role, number, _) in description.members() {
        let name = layout.name(role, number);
        if identities.get(&name).is_none() {
            let directory = layout.keys_dir(out, &name);
            identities.add(Identity::create(&directory, name, role == Role::Validator)?)?;
        }
    }
    Ok(identities)
}
