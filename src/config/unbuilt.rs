//! Keys that are read and checked but do nothing yet. Each is named in a warning at every load; the table shrinks to nothing.

/// A key without an effect: its table, the key (`*` for all of the table), and what it waits for.
pub type Unbuilt = (&'static str, &'static str, &'static str);

const ENGINES: &str = "PostgreSQL, MySQL and MariaDB";
const DESTINATIONS: &str = "destinations and copies";
const RETENTION: &str = "retention as a proof";
const LATER: &str = "physical backups and point-in-time recovery";

/// All of them.
pub const UNBUILT: &[Unbuilt] = &[
    ("daemon", "detach_after", LATER),
    ("destination", "credentials_file", DESTINATIONS),
    ("destination", "profile", DESTINATIONS),
    ("destination", "max_bandwidth", DESTINATIONS),
    ("destination", "volume_size", DESTINATIONS),
    ("destination", "concurrency", DESTINATIONS),
    ("destination", "timeout", DESTINATIONS),
    ("destination", "retries", DESTINATIONS),
    ("destination", "allow_http", DESTINATIONS),
    ("destination", "public_endpoint", DESTINATIONS),
    ("destination", "format", LATER),
    ("signing", "key_file", RETENTION),
    ("signing", "trusted", RETENTION),
    ("policy", "incremental", LATER),
    ("policy", "drill", LATER),
    ("policy", "pitr", LATER),
    ("policy", "max_loss", LATER),
    ("keep", "incremental", LATER),
    ("database", "password", ENGINES),
    ("database", "tls", ENGINES),
    ("database", "replicas", ENGINES),
    ("database", "max_lag", ENGINES),
    ("database", "method", LATER),
    ("database", "jobs", ENGINES),
    ("database", "chain_max", LATER),
    ("database", "databases", ENGINES),
    ("database", "include_tables", ENGINES),
    ("database", "exclude_tables", ENGINES),
    ("database", "lock_timeout", ENGINES),
    ("database", "nice", ENGINES),
    ("database", "ionice", ENGINES),
    ("database", "tools_dir", ENGINES),
    ("database", "dump_args", ENGINES),
    ("database", "check_sql", ENGINES),
];
