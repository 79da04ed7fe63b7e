//! A filter of logs as a caller writes it.

use crate::arguments::Twice;
use crate::error::MethodError;
use crate::quantities::{Argument, Shape};
use alloy_rpc_types_eth::{Filter, FilterBlockOption};
use heddle_chain::LogFilter;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// go-ethereum's bound on alternatives at one position.
const ALTERNATIVES_MAX: usize = 1_000;

/// Which logs a caller asks for.
#[derive(Debug, Default)]
pub(crate) struct LogQuery {
    filter: Filter,
    /// How many topics a log must have, which the library's type leaves out: `null` at the end asks for one, too.
    topics: usize,
}

impl LogQuery {
    /// Where to search.
    ///
    /// # Errors
    /// For what is pending: it logs nothing yet.
    pub(crate) fn blocks(&self) -> Result<FilterBlockOption, MethodError> {
        let option = self.filter.block_option;
        match option {
            FilterBlockOption::Range { from_block, to_block }
                if [from_block, to_block].iter().flatten().any(|tag| tag.is_pending()) =>
            {
                Err(MethodError::InvalidParams("pending logs are not supported".to_owned()))
            }
            option => Ok(option),
        }
    }

    /// What to look for in the blocks `from..=to`.
    ///
    /// # Errors
    /// For too many alternatives.
    pub(crate) fn within(&self, from: u64, to: u64) -> Result<LogFilter, MethodError> {
        let topics = self.filter.topics.iter().take(self.topics).map(|any| any.iter().copied().collect::<Vec<_>>());
        let addresses = self.filter.address.iter().copied().collect();
        let wanted = LogFilter { from, to, addresses, topics: topics.collect() };
        if wanted.addresses.len() > ALTERNATIVES_MAX || wanted.topics.iter().any(|any| any.len() > ALTERNATIVES_MAX) {
            let message = format!("exceed max addresses or topics per search position: {ALTERNATIVES_MAX}");
            return Err(MethodError::InvalidParams(message));
        }
        Ok(wanted)
    }
}

impl Argument for LogQuery {
    const SHAPE: Shape = Shape::Object;
}

impl<'de> Deserialize<'de> for LogQuery {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Topics {
            topics: Option<Vec<IgnoredAny>>,
        }
        let Twice(filter, Topics { topics }) = Twice::deserialize(deserializer)?;
        Ok(Self { filter, topics: topics.map_or(0, |topics| topics.len()) })
    }
}
