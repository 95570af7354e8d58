//! The format at a destination: stages strung together over a store.
