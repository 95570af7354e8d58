//! kill -9 at every step and at random moments: nothing half is listed, the next run works.
