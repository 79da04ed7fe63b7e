//! Which forms of proposals are being filled, so that none is twice.

use alloy_primitives::B256;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The digests of the forms in hand: as many as there are arrivals.
#[derive(Clone, Default)]
pub(super) struct FillingForms(Arc<Mutex<BTreeSet<B256>>>);

impl FillingForms {
    /// Enters a form until what is returned is dropped; `None` when it is in hand already.
    pub(super) fn begin(&self, form: B256) -> Option<Filling> {
        self.all().insert(form).then(|| Filling { forms: self.clone(), form })
    }

    fn all(&self) -> MutexGuard<'_, BTreeSet<B256>> {
        // One call changes it, which leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A form in hand.
pub(super) struct Filling {
    forms: FillingForms,
    form: B256,
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.forms.all().remove(&self.form);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_in_hand_once() {
        let (forms, form) = (FillingForms::default(), B256::repeat_byte);
        let first = forms.begin(form(1)).unwrap();
        assert!(forms.begin(form(1)).is_none(), "a repeat");
        assert!(forms.begin(form(2)).is_some(), "another form");
        drop(first);
        assert!(forms.begin(form(1)).is_some(), "repeated after it was given up");
    }
}
