//! The registry: one line an engine.

use super::Ability;
use super::kind::EngineKind;
use crate::model::Method::{Logical, Physical};

const SQL_KEYS: &[&str] = &[
    "url",
    "password",
    "tls",
    "replicas",
    "max_lag",
    "method",
    "jobs",
    "chain_max",
    "databases",
    "include_tables",
    "exclude_tables",
    "files",
    "exclude",
    "lock_timeout",
    "nice",
    "ionice",
    "tools_dir",
    "dump_args",
    "check_sql",
];

/// Every engine the configuration knows, built or not.
pub fn kinds() -> &'static [EngineKind] {
    &[
        super::sqlite::KIND,
        super::files::KIND,
        super::command::KIND,
        POSTGRESQL,
        MYSQL,
        MARIADB,
        REDIS,
        MONGODB,
        FIREBIRD,
    ]
}

/// The engine with this name.
pub fn by_name(name: &str) -> Option<&'static EngineKind> {
    kinds().iter().find(|kind| kind.name == name)
}

/// The engine that a URL's scheme means.
pub fn by_scheme(scheme: &str) -> Option<&'static EngineKind> {
    kinds().iter().find(|kind| kind.schemes.contains(&scheme))
}

const DUMP_ONLY: &[Ability] = &[Ability { method: Logical, incremental: false, pitr: false }];

const POSTGRESQL: EngineKind = EngineKind {
    name: "postgresql",
    schemes: &["postgresql", "postgres"],
    keys: SQL_KEYS,
    abilities: &[
        Ability { method: Logical, incremental: false, pitr: false },
        Ability { method: Physical, incremental: true, pitr: true },
    ],
    recovery: "",
    open: None,
};

const MYSQL: EngineKind = EngineKind {
    name: "mysql",
    schemes: &["mysql"],
    keys: SQL_KEYS,
    abilities: &[
        Ability { method: Logical, incremental: false, pitr: true },
        Ability { method: Physical, incremental: true, pitr: true },
    ],
    recovery: "",
    open: None,
};

const MARIADB: EngineKind = EngineKind { name: "mariadb", schemes: &["mariadb"], ..MYSQL };

const REDIS: EngineKind = EngineKind {
    name: "redis",
    schemes: &["redis", "rediss", "valkey"],
    keys: &["url", "password", "tls", "replicas", "max_lag", "nice", "ionice", "tools_dir", "dump_args"],
    abilities: DUMP_ONLY,
    recovery: "",
    open: None,
};

const MONGODB: EngineKind = EngineKind {
    name: "mongodb",
    schemes: &["mongodb", "mongodb+srv"],
    keys: &["url", "password", "tls", "databases", "nice", "ionice", "tools_dir", "dump_args"],
    abilities: DUMP_ONLY,
    recovery: "",
    open: None,
};

const FIREBIRD: EngineKind = EngineKind {
    name: "firebird",
    schemes: &["firebird"],
    keys: &["url", "password", "nice", "ionice", "tools_dir", "dump_args"],
    abilities: DUMP_ONLY,
    recovery: "",
    open: None,
};
