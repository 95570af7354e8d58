//! The suite every engine passes: seed, back up, wipe, restore, compare.
