//! Saying at the end of a failed test's output why it failed: the nodes' logs, which come in between, are long, and what
//! shows only the end of an output would show nothing else.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;
use std::thread;

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Says on drop why the test panics, if it does.
pub(crate) struct LastWords(());

impl LastWords {
    /// From now on panics are remembered, and reported as before.
    pub(crate) fn new() -> Self {
        static HOOKED: Once = Once::new();
        HOOKED.call_once(|| {
            let report = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                LAST_PANIC.set(panic.to_string());
                report(panic);
            }));
        });
        Self(())
    }
}

impl Drop for LastWords {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- {}", LAST_PANIC.take());
        }
    }
}
