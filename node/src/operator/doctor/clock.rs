//! Whether this machine's clock is that of the others: blocks from the future are refused.

use super::super::agreement::answers;
use super::super::words::span;
use super::super::{Finding, Node};
use super::database::Stored;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A proposal further ahead of a validator's clock gets no vote.
const DRIFT_MAX: Duration = Duration::from_secs(15);
/// Clocks that are kept agree better than this.
const DRIFT_WANTED: Duration = Duration::from_secs(1);

const FIX: &str = "let a time service keep it: `timedatectl set-ntp true`, or chrony";

pub(super) fn check(peers: &[Node], stored: Option<&Stored>) -> Finding {
    let offsets = Vec::from_iter(answers(peers).map(|(_, facts)| (facts.clock_ahead, facts.clock_error)));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    judge(offsets, now, stored.map(|stored| Duration::from_secs(stored.timestamp)))
}

/// `offsets`: by how many milliseconds others are ahead, and how exact that is. `head`: the time of the last block.
fn judge(mut offsets: Vec<(i64, u64)>, now: Duration, head: Option<Duration>) -> Finding {
    offsets.sort_unstable();
    if let Some((ahead, error)) = offsets.get(offsets.len() / 2).copied() {
        let others = format!("the median of {} other clocks", offsets.len());
        let direction = if ahead > 0 { "behind" } else { "ahead of" };
        let apart = Duration::from_millis(ahead.unsigned_abs().saturating_sub(error));
        let text = format!("is {} {direction} {others}", span(apart));
        return match apart {
            apart if apart > DRIFT_MAX => Finding::problem("clock", text, FIX),
            apart if apart > DRIFT_WANTED => Finding::warning("clock", text, FIX),
            _ => Finding::ok("clock", format!("agrees with {others}")),
        };
    }
    match head.and_then(|head| head.checked_sub(now)).filter(|ahead| *ahead > DRIFT_MAX) {
        Some(ahead) => {
            let text = format!("the last block is {} in the future: this machine's clock is behind", span(ahead));
            Finding::problem("clock", text, FIX)
        }
        None => Finding::unknown("clock", "there is none to compare with", "name other nodes with --peers-rpc URL,.."),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Level;
    use super::*;

    #[test]
    fn the_median_of_the_others_decides() {
        let now = Duration::from_secs(1_000);
        let second = Duration::from_secs(1);
        let table = [
            (vec![(200, 5), (-100, 5)], None, Level::Ok),
            (vec![(3_000, 5)], None, Level::Warning),
            (vec![(3_000, 2_500)], None, Level::Ok),
            (vec![(-60_000, 5), (-59_000, 5), (0, 5)], None, Level::Problem),
            (vec![(0, 5), (1, 5), (60_000, 5)], None, Level::Ok),
            (vec![], Some(now - second), Level::Unknown),
            (vec![], Some(now + second), Level::Unknown),
            (vec![], Some(now + second * 60), Level::Problem),
        ];
        for (offsets, head, level) in table {
            assert_eq!(judge(offsets.clone(), now, head).level, level, "{offsets:?} {head:?}");
        }
        assert!(judge(vec![(60_000, 0)], now, None).text.contains("60 s behind the median"));
    }
}
