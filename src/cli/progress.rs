//! A bar on stderr while a run works.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::model::progress::Snapshot;
use crate::model::{Progress, Size};

const REDRAW: Duration = Duration::from_millis(100);
/// Where nobody watches a bar, `-v` gets a line as often.
const REPORT: Duration = Duration::from_secs(30);

const KNOWN: &str = "{msg} [{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
const UNKNOWN: &str = "{msg} {spinner} {bytes}, {bytes_per_sec}";

/// Does `work` and shows its progress: a bar on a terminal, else a line now and then with `-v`.
pub async fn watch<W: Future>(progress: &Progress, work: W) -> W::Output {
    if std::io::stderr().is_terminal() {
        let bar = Bar::new(ProgressDrawTarget::stderr_with_hz(10));
        poll(progress, work, REDRAW, |now| bar.show(now)).await
    } else {
        poll(progress, work, REPORT, report).await
    }
}

async fn poll<W: Future>(progress: &Progress, work: W, every: Duration, show: impl Fn(&Snapshot)) -> W::Output {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = ticks.tick() => show(&progress.snapshot()),
        }
    }
}

fn report(now: &Snapshot) {
    let (plain, expected) = (Size(now.plain), Size(now.expected));
    if now.expected > 0 {
        tracing::info!("{}: {plain} of about {expected}", now.phase);
    } else {
        tracing::info!("{}: {plain}", now.phase);
    }
}

/// The bar; it takes itself away at the end.
struct Bar(ProgressBar);

impl Bar {
    fn new(target: ProgressDrawTarget) -> Self {
        Self(ProgressBar::with_draw_target(None, target))
    }

    fn show(&self, now: &Snapshot) {
        let known = now.expected > 0;
        if known != self.0.length().is_some() || self.0.message().is_empty() {
            // A template that does not parse leaves the plain bar.
            if let Ok(style) = ProgressStyle::with_template(if known { KNOWN } else { UNKNOWN }) {
                self.0.set_style(style);
            }
        }
        self.0.set_message(now.phase.clone());
        if known {
            // The estimate may have been too small.
            self.0.set_length(now.expected.max(now.plain));
        }
        self.0.set_position(now.plain);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::io;
    use std::sync::{Arc, Mutex};

    /// A terminal that remembers what was written to it.
    #[derive(Debug, Clone, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl indicatif::TermLike for Screen {
        fn width(&self) -> u16 {
            120
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn shown(bar: &Bar, screen: &Screen, expected: u64, plain: u64) -> String {
        screen.0.lock().unwrap().clear();
        bar.show(&Snapshot { phase: "dump".into(), expected, plain, stored: 0, quiet: Duration::ZERO });
        bar.0.tick();
        screen.0.lock().unwrap().clone()
    }

    #[test]
    fn the_bar_shows_phase_bytes_and_what_is_left_as_soon_as_that_is_known() {
        let screen = Screen::default();
        let bar = Bar::new(ProgressDrawTarget::term_like(Box::new(screen.clone())));
        let unknown = shown(&bar, &screen, 0, 3 << 20);
        assert!(unknown.contains("dump") && unknown.contains("3.00 MiB") && !unknown.contains("left"), "{unknown}");
        let known = shown(&bar, &screen, 12 << 20, 6 << 20);
        assert!(known.contains("6.00 MiB of 12.00 MiB") && known.contains(" left"), "{known}");
        let beyond = shown(&bar, &screen, 12 << 20, 15 << 20);
        assert!(beyond.contains("15.00 MiB of 15.00 MiB"), "{beyond}");
    }

    #[tokio::test(start_paused = true)]
    async fn progress_is_polled_until_the_work_is_done_whose_result_is_given() {
        let (progress, seen) = (Progress::default(), RefCell::new(Vec::new()));
        let work = async {
            for _ in 0..3 {
                progress.plain(5);
                tokio::time::sleep(REDRAW + REDRAW / 2).await;
            }
            "done"
        };
        let result = poll(&progress, work, REDRAW, |now| seen.borrow_mut().push(now.plain)).await;
        assert_eq!((result, seen.into_inner()), ("done", vec![5, 10, 15, 15]));
    }
}
