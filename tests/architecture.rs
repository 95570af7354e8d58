//! The shape of the code: floors, cycles, sizes, what ARCHITECTURE.md cites.
