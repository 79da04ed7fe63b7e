//! A snapshot with a pending batch reads as one after its commit, whatever the batch holds.

use crate::{Batch, Database, DatabaseConfig, PendingBatch, Snapshot, Table};
use std::sync::Arc;

const TABLES: [Table; 2] = [Table::Accounts, Table::Storage];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// A key of one or two bytes out of few, so that writes meet.
fn key(rng: &mut Random) -> Vec<u8> {
    let bytes = [0, 1, 2, 0xff];
    (0..1 + rng.below(2)).map(|_| bytes[rng.below(bytes.len())]).collect()
}

fn batch(rng: &mut Random) -> Batch {
    let mut batch = Batch::new();
    for _ in 0..rng.below(12) {
        let table = TABLES[rng.below(2)];
        match rng.below(8) {
            0 => {
                let (a, b) = (key(rng), key(rng));
                batch.delete_range(table, a.clone().min(b.clone()), a.max(b));
            }
            1 | 2 => batch.delete(table, key(rng)),
            _ => batch.put(table, key(rng), [rng.below(256) as u8]),
        }
    }
    batch
}

/// All that can be read of the tables, in every way.
fn everything(snapshot: &Snapshot, rng: &mut Random) -> Vec<String> {
    let mut found = Vec::new();
    for table in TABLES {
        let (from, to) = (key(rng), key(rng));
        let all = |rows: crate::Rows<'_>| rows.collect::<Result<Vec<_>, _>>().unwrap();
        found.push(format!("{:?}", all(snapshot.scan(table, &[]).unwrap())));
        found.push(format!("{:?}", all(snapshot.range(table, &from, Some(&to)).unwrap())));
        found.push(format!("{:?}", all(snapshot.prefix(table, &from[..1]).unwrap())));
        found.push(format!("{:?}", all(snapshot.prefix_scan(table, &to).unwrap())));
        found.push(format!("{:?}", snapshot.seek(table, &from).unwrap()));
        found.push(format!("{:?}", snapshot.get(table, &to).unwrap()));
        found.push(format!("{:?}", snapshot.multi_get(table, [&from, &to]).unwrap()));
    }
    found
}

#[test]
fn it_reads_as_if_it_were_committed() {
    for seed in 0..300 {
        let rng = &mut Random(seed);
        let database = Database::open_in_memory(&DatabaseConfig::default()).unwrap();
        database.commit(batch(rng)).unwrap();
        let pending = Arc::new(PendingBatch::new(batch(rng)));
        let (before, ahead) = (database.snapshot(), database.snapshot_with(pending.clone()));
        let reads = || Random(!seed);
        let untouched = everything(&before, &mut reads());
        database.commit(&*pending).unwrap();
        assert_eq!(everything(&ahead, &mut reads()), everything(&database.snapshot(), &mut reads()), "seed {seed}");
        assert_eq!(everything(&before, &mut reads()), untouched);
    }
}
