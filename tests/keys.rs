//! Every key of the configuration has an observed effect, or is named as not built.
