//! How a registry begins: its account in genesis.

use super::layout::{
    ACTIVE, ADMINISTRATOR_SLOT, KNOWN_SLOT, MEMBERS_SLOT, MINIMUM_DEPOSIT_SLOT, POWER_SLOT, SEAT_BIT, SETTINGS_SLOT,
    STATUS_BIT, UNIT_SLOT, address_word, id_slot, member_slots, pack_share, validator_slot,
};
use crate::{EVIDENCE_AGE_MAX, ValidatorSet};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, U256};
use std::collections::BTreeMap;

/// Who decides about members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Governance {
    /// One account.
    Administered {
        /// That account.
        administrator: Address,
    },
    /// Whoever locks a deposit.
    Staked {
        /// Wei of deposit for one power, at least 1; also the least deposit.
        unit: U256,
        /// Who may act for the first validators, and gets their deposits back, which genesis creates.
        operator: Address,
    },
}

/// The settings of a new registry. Durations are in blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistryStart {
    /// Who decides.
    pub governance: Governance,
    /// The chain's `epochLength`.
    pub epoch_length: u64,
    /// How long a deposit stays locked after the exit. What evidence still convicts must still be locked: the age of
    /// evidence, and the epoch in which the validator exits.
    pub exit_delay: u64,
    /// How long an absent validator cannot come back.
    pub jail_duration: u64,
}

impl RegistryStart {
    /// The settings of a chain of value: deposits locked for as long as evidence is accepted, and an epoch in jail.
    pub fn new(governance: Governance, epoch_length: u64) -> Self {
        let exit_delay = EVIDENCE_AGE_MAX.saturating_add(epoch_length);
        Self { governance, epoch_length, exit_delay, jail_duration: epoch_length }
    }

    /// The registry's account in genesis, with these first validators; `None` when their deposits are no amount of wei.
    pub fn account(&self, validators: &ValidatorSet) -> Option<GenesisAccount> {
        let unit = match self.governance {
            Governance::Administered { .. } => U256::ZERO,
            Governance::Staked { unit, .. } => unit,
        };
        let balance = unit.checked_mul(U256::from(validators.total_power()))?;
        let storage = self.storage(validators).into_iter().map(|(slot, value)| (slot.into(), value.into()));
        let account = GenesisAccount::default().with_nonce(Some(1)).with_balance(balance);
        Some(account.with_code(Some(super::code())).with_storage(Some(storage.collect())))
    }

    fn storage(&self, validators: &ValidatorSet) -> BTreeMap<U256, U256> {
        let total = U256::from(validators.total_power());
        let (mode, administrator, unit, operator) = match self.governance {
            Governance::Administered { administrator } => (0u8, administrator, U256::ZERO, Address::ZERO),
            Governance::Staked { unit, operator } => (1, Address::ZERO, unit, operator),
        };
        let durations = [self.epoch_length, self.exit_delay, self.jail_duration];
        let settings = durations.iter().rev().fold(U256::ZERO, |word, duration| (word << 64) | U256::from(*duration));
        let count = U256::from(validators.validators().len());
        let mut storage = BTreeMap::from([
            (MEMBERS_SLOT, count),
            (U256::from(KNOWN_SLOT), count),
            // Epoch 0 began with all of it, nothing of it is taken.
            (U256::from(POWER_SLOT), (total << 64) | (total << 192)),
            (U256::from(SETTINGS_SLOT), (settings << 8) | U256::from(mode)),
            (U256::from(ADMINISTRATOR_SLOT), address_word(administrator)),
            (U256::from(UNIT_SLOT), unit),
            (U256::from(MINIMUM_DEPOSIT_SLOT), unit),
        ]);
        for (index, validator) in validators.validators().iter().enumerate() {
            let key = U256::from_be_bytes(*validator.public_key.as_bytes());
            let share = pack_share(validator.power, validator.fee_recipient);
            let seat = U256::from(index + 1);
            let standing = (U256::from(ACTIVE) << STATUS_BIT) | (seat << SEAT_BIT);
            let deposit = unit.saturating_mul(U256::from(validator.power));
            let [key_slot, share_slot] = member_slots(index);
            storage.extend([(key_slot, key), (share_slot, share), (id_slot(&validator.public_key), seat)]);
            let row = [key, share | standing, address_word(operator) << 64, deposit];
            storage.extend((0..).zip(row).map(|(slot, value)| (validator_slot(U256::from(index), slot), value)));
        }
        storage.retain(|_, value| !value.is_zero());
        storage
    }
}
