//! The calendar: when something is due. Pure: whoever asks brings the time.

mod fields;
mod options;
mod window;

pub use options::{Form, Schedule, check_zone};
pub use window::Window;
