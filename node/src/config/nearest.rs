//! The name that a misspelt one was probably meant to be.

/// The nearest of `names`, if it is near: at most one letter in three is another, too many, missing, or swapped with the
/// next one.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = names.map(|candidate| (distance(name, candidate), candidate)).min()?;
    (near.0 <= name.chars().count().div_ceil(3)).then_some(near.1)
}

/// Letters to change, insert, remove or swap (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let (from, to) = (Vec::from_iter(from.chars()), Vec::from_iter(to.chars()));
    let mut before = Vec::new();
    let mut above = Vec::from_iter(0..=to.len());
    for (row, letter) in from.iter().enumerate() {
        let mut here = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let replaced = above[column] + usize::from(letter != other);
            let mut least = replaced.min(above[column + 1] + 1).min(here[column] + 1);
            let is_swapped = row > 0 && column > 0 && *letter == to[column - 1] && from[row - 1] == *other;
            if is_swapped {
                least = least.min(before[column - 1] + 1);
            }
            here.push(least);
        }
        before = std::mem::replace(&mut above, here);
    }
    above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_is_found() {
        let names = ["port", "http.port", "http.addr", "datadir", "peers.deny"];
        for (slip, meant) in [("prot", "port"), ("http.prot", "http.port"), ("data-dir", "datadir"), ("ports", "port")]
        {
            assert_eq!(nearest(slip, names.into_iter()), Some(meant), "{slip}");
        }
        for far in ["mining", "x", "gasprice.oracle"] {
            assert_eq!(nearest(far, names.into_iter()), None, "{far}");
        }
    }

    #[test]
    fn distances() {
        for (from, to, expected) in [("", "", 0), ("", "ab", 2), ("ab", "ba", 1), ("abc", "abd", 1), ("ca", "abc", 3)] {
            assert_eq!((distance(from, to), distance(to, from)), (expected, expected), "{from} {to}");
        }
    }
}
