//! The verbs as a sysadmin types them: output, exit codes, JSON.
