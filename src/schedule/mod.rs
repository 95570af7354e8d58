//! The calendar: when something is due. Pure: whoever asks brings the time.

mod calendar;
mod cron;
mod days;
mod delay;
mod fields;
mod oncalendar;
mod options;
mod pattern;
mod times;
mod window;
mod zone;

pub use calendar::{Calendar, longest_gap};
pub use delay::delay;
pub use options::{Schedule, check_zone};
pub use window::{Window, open_from};
pub use zone::zone;
