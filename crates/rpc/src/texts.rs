//! Answers about recent blocks as JSON text: what many ask for is made once.

use crate::error::MethodError;
use lru::LruCache;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// Most bytes of text that are kept; one text of that length is not.
const KEPT_BYTES: usize = 64 << 20;
/// How many texts of different blocks may be made at a time. Whoever wants the same one waits for it.
const MAKING: usize = 16;

/// The JSON of a result; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Text(Arc<RawValue>);

impl Text {
    /// A result as text.
    pub(crate) fn of(value: &impl Serialize) -> Result<Self, MethodError> {
        let text = serde_json::value::to_raw_value(value).map_err(|error| MethodError::Internal(error.to_string()))?;
        Ok(Self(text.into()))
    }

    /// Its length, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.get().len()
    }

    /// A copy.
    pub(crate) fn to_raw(&self) -> Box<RawValue> {
        (*self.0).to_owned()
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.0.get().as_bytes()
    }
}

/// What a text says of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// The block with the hashes of its transactions.
    Block,
    /// The block with its transactions.
    FullBlock,
    /// The receipts.
    Receipts,
}

/// Texts about blocks by number. Blocks are final, so nothing kept ever becomes wrong.
pub(crate) struct Texts {
    kept: Mutex<Kept>,
    making: [Mutex<()>; MAKING],
}

struct Kept {
    texts: LruCache<(Part, u64), Text>,
    bytes: usize,
}

impl Default for Texts {
    fn default() -> Self {
        let kept = Kept { texts: LruCache::unbounded(), bytes: 0 };
        Self { kept: Mutex::new(kept), making: Default::default() }
    }
}

impl Texts {
    /// The text, if it is kept.
    pub(crate) fn get(&self, part: Part, number: u64) -> Option<Text> {
        self.kept.lock().texts.get(&(part, number)).cloned()
    }

    /// The text that is kept, or else the one of what `make` finds.
    pub(crate) fn get_or_make<T: Serialize>(
        &self,
        part: Part,
        number: u64,
        make: impl FnOnce() -> Result<Option<T>, MethodError>,
    ) -> Result<Option<Text>, MethodError> {
        if let Some(text) = self.get(part, number) {
            return Ok(Some(text));
        }
        let _making = self.making.get((number % MAKING as u64) as usize).map(|making| making.lock());
        if let Some(text) = self.get(part, number) {
            return Ok(Some(text));
        }
        let Some(value) = make()? else { return Ok(None) };
        let text = Text::of(&value)?;
        self.kept.lock().put((part, number), text.clone());
        Ok(Some(text))
    }
}

impl Kept {
    fn put(&mut self, key: (Part, u64), text: Text) {
        self.bytes += text.len();
        if let Some(replaced) = self.texts.put(key, text) {
            self.bytes -= replaced.len();
        }
        while self.bytes > KEPT_BYTES
            && let Some((_, oldest)) = self.texts.pop_lru()
        {
            self.bytes -= oldest.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(texts: &Texts, number: u64, length: usize) -> Text {
        texts.get_or_make(Part::Block, number, || Ok(Some("x".repeat(length)))).unwrap().unwrap()
    }

    #[test]
    fn a_text_is_made_once() {
        let texts = Texts::default();
        assert!(texts.get_or_make(Part::Block, 1, || Ok(None::<u8>)).unwrap().is_none());
        assert_eq!(text(&texts, 1, 3).to_raw().get(), "\"xxx\"");
        let kept = texts.get_or_make::<u8>(Part::Block, 1, || panic!("it is kept")).unwrap().unwrap();
        assert_eq!(kept.as_ref(), text(&texts, 1, 3).as_ref());
        assert!(texts.get(Part::Receipts, 1).is_none());
    }

    #[test]
    fn the_oldest_texts_make_room() {
        let texts = Texts::default();
        for number in 0..5 {
            text(&texts, number, KEPT_BYTES / 4);
            text(&texts, 0, KEPT_BYTES / 4);
        }
        let kept: Vec<_> = (0..5).filter(|number| texts.get(Part::Block, *number).is_some()).collect();
        assert_eq!(kept, [0, 3, 4]);
        text(&texts, 9, KEPT_BYTES);
        assert!(texts.get(Part::Block, 9).is_none(), "too long to be kept");
        assert_eq!(texts.kept.lock().bytes, 0);
    }
}
