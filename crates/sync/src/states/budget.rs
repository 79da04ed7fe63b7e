//! How much of a node its guests may have: decided from times and sizes that the server measures.

use std::time::Duration;

/// What serving states may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeConfig {
    /// Bytes a second, all peers together; at least 1.
    pub bytes_per_second: u64,
    /// Requests at once; at least 1.
    pub requests_max: usize,
    /// Percent of the time of one core, 1 to 100.
    pub share_percent: u32,
    /// Requests that may wait.
    pub waiting_max: usize,
    /// How long one may wait.
    pub wait_max: Duration,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            bytes_per_second: 32 << 20,
            requests_max: 2,
            share_percent: 25,
            waiting_max: 4,
            wait_max: Duration::from_secs(1),
        }
    }
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Serve it; [`ServeBudget::finish`] must follow.
    Start,
    /// Ask again at this time, or when another one has finished.
    Wait(Duration),
    /// Say that we are busy.
    Refuse,
}

/// Who may be served when. Times count from any fixed moment.
#[derive(Debug)]
pub(super) struct ServeBudget {
    config: ServeConfig,
    running: usize,
    waiting: usize,
    /// When what was served is paid for in time.
    time_paid_at: Duration,
    /// When it is paid for in bytes.
    bytes_paid_at: Duration,
}

impl ServeBudget {
    pub(super) fn new(config: ServeConfig) -> Self {
        Self { config, running: 0, waiting: 0, time_paid_at: Duration::ZERO, bytes_paid_at: Duration::ZERO }
    }

    /// A request comes in. One that waits calls [`Self::ask_again`] until it has another answer.
    pub(super) fn ask(&mut self, now: Duration) -> Admission {
        // Nobody overtakes those that wait.
        if self.waiting == 0 && self.is_free(now) {
            self.running += 1;
            return Admission::Start;
        }
        if self.waiting >= self.config.waiting_max || self.paid_at() > now + self.config.wait_max {
            return Admission::Refuse;
        }
        self.waiting += 1;
        Admission::Wait(self.next_look(now, now))
    }

    /// A request that waits since a time.
    pub(super) fn ask_again(&mut self, now: Duration, since: Duration) -> Admission {
        if self.is_free(now) {
            self.waiting = self.waiting.saturating_sub(1);
            self.running += 1;
            return Admission::Start;
        }
        if now >= since + self.config.wait_max {
            self.waiting = self.waiting.saturating_sub(1);
            return Admission::Refuse;
        }
        Admission::Wait(self.next_look(now, since))
    }

    /// A request that waited is not wanted any more.
    pub(super) fn leave(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// A request was served: it took so long, and gave so many bytes.
    pub(super) fn finish(&mut self, now: Duration, took: Duration, bytes: usize) {
        self.running = self.running.saturating_sub(1);
        let share = self.config.share_percent.clamp(1, 100);
        let owed = took.saturating_mul(100 - share) / share;
        self.time_paid_at = self.time_paid_at.max(now) + owed;
        let microseconds = (bytes as u64).saturating_mul(1_000_000) / self.config.bytes_per_second.max(1);
        self.bytes_paid_at = self.bytes_paid_at.max(now) + Duration::from_micros(microseconds);
    }

    fn paid_at(&self) -> Duration {
        self.time_paid_at.max(self.bytes_paid_at)
    }

    fn is_free(&self, now: Duration) -> bool {
        self.running < self.config.requests_max.max(1) && now >= self.paid_at()
    }

    /// When it is worth asking again, at the end of the wait at the latest.
    fn next_look(&self, now: Duration, since: Duration) -> Duration {
        let end = since + self.config.wait_max;
        if self.paid_at() > now { self.paid_at().min(end) } else { end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn budget() -> ServeBudget {
        let wait_max = ms(1_000);
        ServeBudget::new(ServeConfig {
            bytes_per_second: 1_000,
            requests_max: 2,
            share_percent: 25,
            waiting_max: 2,
            wait_max,
        })
    }

    #[test]
    fn time_spent_is_followed_by_three_times_as_much_rest() {
        let mut budget = budget();
        assert_eq!(budget.ask(ms(0)), Admission::Start);
        budget.finish(ms(100), ms(100), 0);
        assert_eq!(budget.ask(ms(100)), Admission::Wait(ms(400)));
        assert_eq!(budget.ask_again(ms(399), ms(100)), Admission::Wait(ms(400)));
        assert_eq!(budget.ask_again(ms(400), ms(100)), Admission::Start);
    }

    #[test]
    fn bytes_sent_are_paid_by_time() {
        let mut budget = budget();
        assert_eq!(budget.ask(ms(0)), Admission::Start);
        budget.finish(ms(1), ms(0), 500);
        assert_eq!(budget.ask(ms(1)), Admission::Wait(ms(501)));
        budget.leave();
        assert_eq!(budget.ask(ms(501)), Admission::Start);
        budget.finish(ms(501), ms(0), 5_000);
        assert_eq!(budget.ask(ms(502)), Admission::Refuse, "more than a second is owed");
    }

    #[test]
    fn two_run_two_wait_and_more_are_refused() {
        let mut budget = budget();
        let asked = Vec::from_iter((0..5).map(|_| budget.ask(ms(0))));
        let wait = Admission::Wait(ms(1_000));
        assert_eq!(asked, [Admission::Start, Admission::Start, wait, wait, Admission::Refuse]);
        assert_eq!(budget.ask_again(ms(1_000), ms(0)), Admission::Refuse);
        budget.finish(ms(1_100), ms(0), 0);
        assert_eq!(budget.ask(ms(1_100)), Admission::Wait(ms(2_100)), "one is before it");
        assert_eq!(budget.ask_again(ms(1_100), ms(200)), Admission::Start);
    }

    #[test]
    fn over_a_long_time_the_share_is_kept() {
        let mut budget = budget();
        let (mut now, mut spent) = (ms(0), ms(0));
        while now < Duration::from_secs(100) {
            if budget.ask(now) == Admission::Start {
                now += ms(70);
                spent += ms(70);
                budget.finish(now, ms(70), 10);
            } else {
                budget.leave();
                now += ms(1);
            }
        }
        assert!((ms(24_500)..=ms(25_500)).contains(&spent), "{spent:?}");
    }
}
