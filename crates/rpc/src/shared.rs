//! Texts that are kept, on their way into an answer: one of ten megabytes would otherwise be written, parsed and copied again
//! for each caller.
//!
//! A call that is no part of a batch brings a [`Slot`]. A method that finds one leaves its text there and answers `null`;
//! around that the library writes the rest of the answer, and [`Slot::fill`] puts the text into the place of the `null`.

use crate::texts::Text;
use jsonrpsee::server::MethodResponse;
use parking_lot::Mutex;
use std::sync::Arc;

/// How an answer ends whose text stands in a slot.
const PLACE: &str = "null}";

/// Where a method leaves its text.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<Text>>>);

impl Slot {
    /// Leaves a text; the method's own result is then `null`.
    pub(crate) fn put(&self, text: Text) {
        *self.0.lock() = Some(text);
    }

    /// The answer's text, with what was left here in its place.
    pub(crate) fn fill(&self, response: MethodResponse) -> Vec<u8> {
        let text = self.0.lock().take();
        let head = response.as_json().get().strip_suffix(PLACE);
        match (head, text) {
            (Some(head), Some(text)) => [head.as_bytes(), text.as_ref(), b"}"].concat(),
            _ => String::from(Box::<str>::from(response.into_json())).into_bytes(),
        }
    }
}
