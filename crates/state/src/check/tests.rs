#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
use super::*;
use crate::tests::{Chain, any_history};
use heddle_storage::{Batch, Database, DatabaseConfig};
use proptest::prelude::*;

fn check_database(database: &Database, head: u64, root: B256) -> Findings {
    let mut findings = Findings::default();
    check(&database.snapshot(), head, root, &mut findings, &mut |_| {}).unwrap();
    findings
}

/// A change of one row: which, where, and how.
#[derive(Clone, Debug)]
enum Damage {
    FlipValue(prop::sample::Index, prop::sample::Index, u8),
    FlipKey(prop::sample::Index, prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Truncate(prop::sample::Index),
    Add(Vec<u8>, Vec<u8>),
}

fn any_damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), index(), 0..8u8).prop_map(|(row, at, bit)| Damage::FlipValue(row, at, bit)),
        (index(), index(), 0..8u8).prop_map(|(row, at, bit)| Damage::FlipKey(row, at, bit)),
        index().prop_map(Damage::Remove),
        index().prop_map(Damage::Truncate),
        (prop::collection::vec(any::<u8>(), 1..70), prop::collection::vec(any::<u8>(), 0..70))
            .prop_map(|(key, value)| Damage::Add(key, value)),
    ]
}

const TABLES: [Table; 8] = [
    Table::Accounts,
    Table::Storage,
    Table::Code,
    Table::TrieNodes,
    Table::ChangeSets,
    Table::AccountHistory,
    Table::StorageHistory,
    Table::Meta,
];

/// The batch that does the damage to a table; `None` when it has nothing to damage.
fn damage(chain: &Chain, table: Table, damage: &Damage) -> Option<Batch> {
    let mut batch = Batch::new();
    // The other rows of this table are not the state's.
    let is_ours = |key: &Vec<u8>| table != Table::Meta || META_KEYS.contains(&key.as_slice());
    let rows: Vec<_> = chain.rows(table).into_iter().filter(|(key, _)| is_ours(key)).collect();
    let pick = |row: &prop::sample::Index| (!rows.is_empty()).then(|| rows[row.index(rows.len())].clone());
    let flip = |mut bytes: Vec<u8>, at: &prop::sample::Index, bit: u8| {
        let at = at.index(bytes.len().max(1));
        *bytes.get_mut(at)? ^= 1 << bit;
        Some(bytes)
    };
    match damage {
        Damage::FlipValue(row, at, bit) => {
            let (key, value) = pick(row)?;
            batch.put(table, key, flip(value, at, *bit)?);
        }
        Damage::FlipKey(row, at, bit) => {
            let (key, value) = pick(row)?;
            batch.delete(table, key.clone());
            batch.put(table, flip(key, at, *bit)?, value);
        }
        Damage::Remove(row) => batch.delete(table, pick(row)?.0),
        Damage::Truncate(row) => {
            let (key, mut value) = pick(row)?;
            value.pop()?;
            batch.put(table, key, value);
        }
        Damage::Add(..) if table == Table::Meta => return None,
        Damage::Add(key, value) => batch.put(table, key.clone(), value.clone()),
    }
    Some(batch)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_whole_state_is_sound_and_any_damage_to_a_row_is_found(
        history in any_history(),
        damages in prop::collection::vec((0..TABLES.len(), any_damage()), 16),
        pruned in 0..3u64,
    ) {
        let mut chain = Chain::new();
        let roots: Vec<_> = history.iter().map(|changes| chain.commit(changes)).collect();
        let (head, root) = (roots.len() as u64 - 1, *roots.last().unwrap());
        let mut batch = Batch::new();
        chain.store.prune_history(pruned, &mut batch).unwrap();
        chain.database.commit(batch).unwrap();
        let database = Database::open_in_memory(&DatabaseConfig::default()).unwrap();
        let whole: Vec<_> = Table::ALL.into_iter().map(|table| (table, chain.rows(table))).collect();
        for (table, change) in damages {
            let Some(damage) = damage(&chain, TABLES[table], &change) else { continue };
            let mut batch = Batch::new();
            for (table, rows) in &whole {
                batch.delete_range(*table, [], [0xff; 80]);
                rows.iter().for_each(|(key, value)| batch.put(*table, key.clone(), value.clone()));
            }
            database.commit(batch).unwrap();
            prop_assert_eq!(check_database(&database, head, root), Findings::default());
            database.commit(damage).unwrap();
            let findings = check_database(&database, head, root);
            prop_assert!(findings.count() > 0, "{:?} in {:?}", change, TABLES[table]);
        }
    }
}

#[test]
fn findings_are_counted_beyond_those_that_are_kept() {
    let mut findings = Findings::default();
    (0..2000u64).for_each(|number| findings.add(Table::Code, &number.to_be_bytes(), "wrong"));
    assert_eq!((findings.first().len(), findings.count()), (Findings::KEPT_MAX, 2000));
    let shown = findings.first()[1].to_string();
    assert_eq!(shown, "table code, key 0x0000000000000001: wrong");
}
