//! The services of destinations and the names of their options, as the config structs of OpenDAL 0.59 have them, without those it
//! marks deprecated. Some services ignore names they do not know; so they are refused here.

/// A service of OpenDAL.
#[derive(Debug, Clone, Copy)]
pub(super) struct Service {
    /// `service = "…"`
    pub name: &'static str,
    /// Options it cannot do without.
    pub required: &'static [&'static str],
    /// All of its options.
    pub options: &'static [&'static str],
}

/// Options that are paths on this host, and of which services; they must be absolute.
pub(super) const LOCAL_PATHS: &[(&str, &str)] = &[
    ("fs", "root"),
    ("fs", "atomic_write_dir"),
    ("sftp", "key"),
    ("gcs", "credential_path"),
    ("oss", "oidc_token_file"),
];

/// Whether the service of this name knows a key.
type Knows = fn(&str) -> bool;

/// Keys of qbackd's own that mean something to some services only.
pub(super) const LIMITED: &[(&str, Knows)] = &[
    ("min_free", |service| service == "fs"),
    ("require_mount", |service| service == "fs"),
    ("credentials_file", |service| service == "s3"),
    ("profile", |service| service == "s3"),
    ("allow_http", |service| !is_local(service)),
    ("public_endpoint", |service| !is_local(service)),
];

fn is_local(service: &str) -> bool {
    matches!(service, "fs" | "memory")
}

/// The service of this name.
pub(super) fn by_name(name: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.name == name)
}

/// Every service a destination may name, built or not.
pub(super) const SERVICES: &[Service] = &[
    Service { name: "fs", required: &["root"], options: &["root", "atomic_write_dir"] },
    Service { name: "memory", required: &[], options: &["root"] },
    Service {
        name: "s3",
        required: &["bucket"],
        options: &[
            "root",
            "bucket",
            "endpoint",
            "region",
            "profile",
            "access_key_id",
            "secret_access_key",
            "session_token",
            "role_arn",
            "external_id",
            "role_session_name",
            "assume_role_duration_seconds",
            "disable_config_load",
            "disable_ec2_metadata",
            "skip_signature",
            "server_side_encryption",
            "server_side_encryption_aws_kms_key_id",
            "server_side_encryption_customer_algorithm",
            "server_side_encryption_customer_key",
            "server_side_encryption_customer_key_md5",
            "default_storage_class",
            "enable_virtual_host_style",
            "checksum_algorithm",
            "disable_list_objects_v2",
            "enable_request_payer",
            "default_acl",
        ],
    },
    Service {
        name: "gcs",
        required: &["bucket"],
        options: &[
            "root",
            "bucket",
            "endpoint",
            "scope",
            "service_account",
            "credential",
            "credential_path",
            "predefined_acl",
            "default_storage_class",
            "skip_signature",
            "disable_vm_metadata",
            "disable_config_load",
            "token",
        ],
    },
    Service {
        name: "azblob",
        required: &["container", "endpoint"],
        options: &[
            "root",
            "container",
            "endpoint",
            "account_name",
            "account_key",
            "encryption_key",
            "encryption_key_sha256",
            "encryption_algorithm",
            "sas_token",
            "skip_signature",
        ],
    },
    Service {
        name: "azdls",
        required: &["filesystem", "endpoint"],
        options: &[
            "root",
            "filesystem",
            "endpoint",
            "account_name",
            "account_key",
            "client_secret",
            "tenant_id",
            "client_id",
            "sas_token",
            "authority_host",
            "enable_hns",
        ],
    },
    Service {
        name: "azfile",
        required: &["share_name", "endpoint"],
        options: &["root", "endpoint", "share_name", "account_name", "account_key", "sas_token"],
    },
    Service {
        name: "b2",
        required: &["bucket", "bucket_id"],
        options: &["root", "application_key_id", "application_key", "bucket", "bucket_id"],
    },
    Service {
        name: "sftp",
        required: &["endpoint"],
        options: &["endpoint", "root", "user", "key", "known_hosts_strategy"],
    },
    Service { name: "ftp", required: &["endpoint"], options: &["endpoint", "root", "user", "password"] },
    Service {
        name: "webdav",
        required: &["endpoint"],
        options: &[
            "endpoint",
            "username",
            "password",
            "token",
            "root",
            "disable_create_dir",
            "user_metadata_prefix",
            "user_metadata_uri",
        ],
    },
    Service {
        name: "webhdfs",
        required: &["endpoint"],
        options: &["root", "endpoint", "user_name", "delegation", "disable_list_batch", "atomic_write_dir"],
    },
    Service {
        name: "swift",
        required: &["endpoint", "container"],
        options: &["endpoint", "container", "root", "token", "temp_url_key", "temp_url_hash_algorithm"],
    },
    Service {
        name: "oss",
        required: &["bucket", "endpoint"],
        options: &[
            "root",
            "endpoint",
            "presign_endpoint",
            "bucket",
            "addressing_style",
            "presign_addressing_style",
            "server_side_encryption",
            "server_side_encryption_key_id",
            "skip_signature",
            "access_key_id",
            "access_key_secret",
            "security_token",
            "role_arn",
            "role_session_name",
            "oidc_provider_arn",
            "oidc_token_file",
            "sts_endpoint",
            "external_id",
        ],
    },
    Service {
        name: "obs",
        required: &["bucket", "endpoint"],
        options: &["root", "endpoint", "access_key_id", "secret_access_key", "bucket"],
    },
    Service {
        name: "cos",
        required: &["bucket", "endpoint"],
        options: &["root", "endpoint", "secret_id", "secret_key", "security_token", "bucket", "disable_config_load"],
    },
    Service {
        name: "tos",
        required: &["bucket"],
        options: &[
            "root",
            "bucket",
            "endpoint",
            "region",
            "access_key_id",
            "secret_access_key",
            "security_token",
            "disable_config_load",
            "skip_signature",
        ],
    },
    Service { name: "upyun", required: &["bucket"], options: &["root", "bucket", "operator", "password"] },
    Service {
        name: "dropbox",
        required: &[],
        options: &["root", "access_token", "refresh_token", "client_id", "client_secret"],
    },
    Service {
        name: "onedrive",
        required: &[],
        options: &["root", "access_token", "refresh_token", "client_id", "client_secret"],
    },
    Service {
        name: "gdrive",
        required: &[],
        options: &["root", "access_token", "refresh_token", "client_id", "client_secret"],
    },
    Service { name: "pcloud", required: &["endpoint"], options: &["root", "endpoint", "username", "password"] },
    Service { name: "koofr", required: &["endpoint", "email"], options: &["root", "endpoint", "email", "password"] },
    Service {
        name: "seafile",
        required: &["endpoint", "repo_name"],
        options: &["root", "endpoint", "username", "password", "repo_name"],
    },
    Service { name: "yandex-disk", required: &[], options: &["root", "access_token"] },
];
