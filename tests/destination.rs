//! The repository's format at a destination: order of writes, damage, strangers.
