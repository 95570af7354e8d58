//! What is kept and what may go: a pure function of backups, rules and time.
//!
//! [`decide()`] gives for each backup a verdict and every reason for it. It knows what it is given and nothing else: what is not
//! recognised at a destination is never among its input, and so never deleted.

mod candidate;
mod decide;
mod keep;
mod period;
mod reason;
mod select;

pub use candidate::Candidate;
pub use decide::{Decision, Rules, Verdict, decide, in_order_of_deletion};
pub use keep::Keep;
pub use reason::Reason;
