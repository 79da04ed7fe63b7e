//! Chains whose validators change.

mod contract;
mod evidence;
mod light_client;
mod linked;
mod sets;
mod world;

pub(super) use world::{World, addCall, administered, genesis, key, removeCall};
