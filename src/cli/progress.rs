//! A bar on stderr while a run works.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::model::progress::Snapshot;
use crate::model::{Progress, Size};

const REDRAW: Duration = Duration::from_millis(100);
/// Where nobody watches a bar, `-v` gets a line as often.
const REPORT: Duration = Duration::from_secs(30);

const KNOWN: &str = "{msg} [{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
const UNKNOWN: &str = "{msg} {spinner} {bytes}, {bytes_per_sec}";

/// Does `work` and shows its progress: a bar on a terminal, else a line now and then with `-v`.
pub(super) async fn watch_one<W: Future>(progress: &Progress, work: W) -> W::Output {
    watch(&[(String::new(), progress.clone())], work).await
}

/// Does `work`, which is several runs, and shows the progress of each, with its name.
pub(super) async fn watch<W: Future>(runs: &[(impl ToString, Progress)], work: W) -> W::Output {
    let runs: Vec<(String, &Progress)> = runs.iter().map(|(name, progress)| (name.to_string(), progress)).collect();
    if std::io::stderr().is_terminal() {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let bars: Vec<(Bar, &Progress)> =
            runs.iter().map(|(name, progress)| (Bar::new(&all, name, runs.len()), *progress)).collect();
        poll(work, REDRAW, || bars.iter().for_each(|(bar, progress)| bar.show(&progress.snapshot()))).await
    } else {
        poll(work, REPORT, || runs.iter().for_each(|(name, progress)| report(name, &progress.snapshot()))).await
    }
}

async fn poll<W: Future>(work: W, every: Duration, show: impl Fn()) -> W::Output {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = ticks.tick() => show(),
        }
    }
}

fn report(name: &str, now: &Snapshot) {
    if now.phase.is_empty() {
        return;
    }
    let (plain, expected) = (Size(now.plain), Size(now.expected));
    if now.expected > 0 {
        tracing::info!("{name} {}: {plain} of about {expected}", now.phase);
    } else {
        tracing::info!("{name} {}: {plain}", now.phase);
    }
}

/// The bar; it takes itself away at the end.
struct Bar {
    bar: ProgressBar,
    name: String,
}

impl Bar {
    fn new(all: &MultiProgress, name: &str, of: usize) -> Self {
        let name = if of > 1 { format!("{name}: ") } else { String::new() };
        Self { bar: all.add(ProgressBar::no_length()), name }
    }

    fn show(&self, now: &Snapshot) {
        let known = now.expected > 0;
        if known != self.bar.length().is_some() || self.bar.message().is_empty() {
            // A template that does not parse leaves the plain bar.
            if let Ok(style) = ProgressStyle::with_template(if known { KNOWN } else { UNKNOWN }) {
                self.bar.set_style(style);
            }
        }
        self.bar.set_message(format!("{}{}", self.name, now.phase));
        if known {
            // The estimate may have been too small.
            self.bar.set_length(now.expected.max(now.plain));
        }
        self.bar.set_position(now.plain);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
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
        bar.show(&Snapshot { phase: "dump".into(), expected, plain, stored: 0, quiet: false });
        bar.bar.tick();
        screen.0.lock().unwrap().clone()
    }

    #[test]
    fn the_bar_shows_phase_bytes_and_what_is_left_as_soon_as_that_is_known() {
        let screen = Screen::default();
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(screen.clone())));
        let bar = Bar::new(&all, "shop", 1);
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
        let result = poll(work, REDRAW, || seen.borrow_mut().push(progress.snapshot().plain)).await;
        assert_eq!((result, seen.into_inner()), ("done", vec![5, 10, 15, 15]));
    }
}
