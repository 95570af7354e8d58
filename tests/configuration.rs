//! Configuration: what is accepted, and the text of every diagnostic.
