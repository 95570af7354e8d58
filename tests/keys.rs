//! Every key acts: for each key of the configuration, the test that sees its effect, or the warning that says there is none yet.

use std::collections::BTreeSet;
use std::path::Path;

use qbackd::config::{UNBUILT, accepted_keys};

use crate::configuration::Dir;

/// What a key does.
enum Effect {
    /// The test that sees it.
    Seen(&'static str),
    /// None yet; every load says so.
    Unbuilt,
    /// It is a part of the key, or of the way to notify, that its table is named for.
    Part,
}
use Effect::{Part, Seen, Unbuilt};

/// Table, key, something that may be written there, and what it does.
const KEYS: &[(&str, &str, &str, Effect)] = &[
    (
        "daemon",
        "state_dir",
        "'/srv/qbackd'",
        Seen("history_is_where_the_configuration_says_though_the_rest_of_it_is_broken"),
    ),
    ("daemon", "control_socket", "'/run/q.sock'", Unbuilt),
    ("daemon", "max_parallel", "3", Seen("as_many_run_at_a_time_as_max_parallel_says")),
    (
        "daemon",
        "timezone",
        "'Europe/Berlin'",
        Seen("check_shows_the_next_three_times_of_each_schedule_in_its_time_zone"),
    ),
    ("daemon", "listen", "'127.0.0.1:9090'", Unbuilt),
    ("daemon", "history_keep", "'30d'", Unbuilt),
    ("daemon", "shutdown_grace", "'5m'", Unbuilt),
    ("daemon", "status", "'owners'", Unbuilt),
    ("daemon", "detach_after", "'2d'", Unbuilt),
    (
        "destination",
        "service",
        "'s3'",
        Seen("what_is_put_is_read_back_from_fs_and_memory_with_every_kind_of_recipient"),
    ),
    ("destination", "label", "'the shelf'", Seen("a_destination_is_shown_with_its_label")),
    ("destination", "credentials_file", "'/dev/null'", Unbuilt),
    ("destination", "profile", "'backup'", Unbuilt),
    ("destination", "prune", "false", Seen("a_destination_that_says_prune_false_loses_nothing")),
    ("destination", "keep", "{ last = 3 }", Seen("a_destination_of_its_own_rules_goes_by_them")),
    ("destination", "max_bandwidth", "'10 MiB'", Unbuilt),
    ("destination", "volume_size", "'5 GiB'", Unbuilt),
    ("destination", "concurrency", "4", Unbuilt),
    ("destination", "timeout", "'30s'", Unbuilt),
    ("destination", "retries", "5", Unbuilt),
    ("destination", "min_free", "'10%'", Seen("one_without_min_free")),
    ("destination", "require_mount", "true", Seen("one_that_is_not_mounted_with_require_mount")),
    ("destination", "allow_http", "true", Unbuilt),
    ("destination", "public_endpoint", "'https://s3.example.org'", Unbuilt),
    ("destination", "format", "'plain'", Unbuilt),
    (
        "encryption",
        "recipients",
        "['age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p']",
        Seen("either_of_two_recipients_brings_it_back"),
    ),
    (
        "encryption",
        "recipients_file",
        "'/dev/null'",
        Seen("init_writes_a_configuration_and_a_key_that_open_what_they_close"),
    ),
    ("encryption", "passphrase", "{ env = 'PASSPHRASE' }", Seen("a_passphrase_brings_it_back")),
    (
        "encryption",
        "identity_files",
        "['/dev/null']",
        Seen("init_writes_a_configuration_and_a_key_that_open_what_they_close"),
    ),
    ("signing", "key_file", "'/dev/null'", Unbuilt),
    ("signing", "trusted", "['key']", Unbuilt),
    ("policy", "full", "'02:00'", Unbuilt),
    ("policy", "incremental", "'every 1h'", Unbuilt),
    ("policy", "drill", "'Sun 12:00'", Unbuilt),
    ("policy", "pitr", "true", Unbuilt),
    ("policy", "max_loss", "'30s'", Unbuilt),
    ("policy", "destinations", "['local']", Seen("a_backup_goes_where_to_says")),
    ("policy", "encryption", "'none'", Seen("it_comes_back_unencrypted_and_uncompressed")),
    ("policy", "compression", "'none'", Seen("it_comes_back_unencrypted_and_uncompressed")),
    ("policy", "keep", "{ daily = 7 }", Seen("a_month_of_nightly_backups_leaves_what_the_rules_promise")),
    ("policy", "timeout", "'1h'", Seen("a_dump_that_takes_longer_than_timeout")),
    ("policy", "stall_timeout", "'1h'", Seen("a_dump_that_stalls_for_longer_than_stall_timeout")),
    ("policy", "retry", "{ attempts = 3 }", Unbuilt),
    ("policy", "randomized_delay", "'10m'", Unbuilt),
    ("policy", "persistent", "false", Unbuilt),
    ("policy", "not_between", "['08:00-18:00']", Unbuilt),
    ("policy", "pause_after", "0", Unbuilt),
    ("policy", "stale_after", "'3d'", Unbuilt),
    ("policy", "notify", "'ops'", Unbuilt),
    ("policy", "owner", "'www-data'", Unbuilt),
    ("policy", "hooks", "{ before_backup = 'true' }", Seen("each_hook_is_told_what_the_manual_says")),
    ("policy", "stop_units", "['nginx.service']", Seen("units_are_stopped_for_the_dump_and_run_again_after_it")),
    ("policy", "enabled", "false", Seen("a_database_that_is_not_enabled_is_left_out_of_all")),
    ("database", "url", "'postgresql://db1/shop'", Seen("what_is_backed_up_comes_back")),
    ("database", "engine", "'postgresql'", Seen("the_engine_is_the_named_one_or_the_one_the_scheme_means")),
    ("database", "policy", "'nightly'", Seen("a_policy_key_in_the_database_wins_and_the_rest_stays")),
    ("database", "password", "{ env = 'PGPASSWORD' }", Unbuilt),
    ("database", "tls", "{ mode = 'verify-ca' }", Unbuilt),
    ("database", "replicas", "['postgresql://db2/shop']", Unbuilt),
    ("database", "max_lag", "'10s'", Unbuilt),
    ("database", "method", "'physical'", Unbuilt),
    ("database", "jobs", "4", Unbuilt),
    ("database", "chain_max", "7", Unbuilt),
    ("database", "databases", "'all'", Unbuilt),
    ("database", "include_tables", "['a']", Unbuilt),
    ("database", "exclude_tables", "['b']", Unbuilt),
    ("database", "files", "['/dev']", Seen("a_single_file_is_archived_under_its_path")),
    ("database", "exclude", "['*.tmp']", Seen("excluded_names_and_paths_are_left_out_with_all_below")),
    ("database", "dump", "['/bin/true']", Seen("a_command_knows_its_database_and_its_words_become_notes")),
    ("database", "restore", "['/bin/cat']", Seen("without_a_restore_command_the_way_by_hand_is_named")),
    ("database", "lock_timeout", "'10s'", Unbuilt),
    ("database", "nice", "5", Unbuilt),
    ("database", "ionice", "'idle'", Unbuilt),
    ("database", "tools_dir", "'/usr/bin'", Unbuilt),
    ("database", "dump_args", "['--no-comments']", Unbuilt),
    ("database", "check_sql", "'select true'", Unbuilt),
    ("keep", "last", "1", Part),
    ("keep", "within", "'30d'", Part),
    ("keep", "hourly", "1", Part),
    ("keep", "daily", "1", Part),
    ("keep", "weekly", "1", Part),
    ("keep", "monthly", "1", Part),
    ("keep", "yearly", "1", Part),
    ("keep", "full", "1", Part),
    ("keep", "incremental", "'7d'", Part),
    ("keep", "pitr", "'7d'", Part),
    ("retry", "attempts", "3", Part),
    ("retry", "after", "'1m'", Part),
    ("hooks", "before_backup", "'true'", Part),
    ("hooks", "after_backup", "'true'", Part),
    ("hooks", "on_failure", "'true'", Part),
    ("hooks", "before_restore", "'true'", Part),
    ("hooks", "after_restore", "'true'", Part),
    ("hooks", "timeout", "'1m'", Part),
    ("tls", "mode", "'require'", Part),
    ("tls", "ca", "'/dev/null'", Part),
    ("tls", "cert", "'/dev/null'", Part),
    ("tls", "key", "{ file = '/dev/null' }", Part),
    ("email", "to", "['ops@example.org']", Part),
    ("email", "from", "'qbackd@example.org'", Part),
    ("email", "server", "'mail:587'", Part),
    ("email", "tls", "'tls'", Part),
    ("email", "username", "'qbackd'", Part),
    ("email", "password", "{ env = 'PW' }", Part),
    ("webhook", "url", "'https://example.org'", Part),
    ("webhook", "headers", "{ X-Token = { env = 'TOKEN' } }", Part),
    ("command", "command", "['/bin/true']", Part),
    ("healthchecks", "url", "'https://hc-ping.com/x'", Part),
    ("slack", "url", "{ env = 'HOOK' }", Part),
    ("discord", "url", "{ env = 'HOOK' }", Part),
    ("telegram", "token", "{ env = 'TOKEN' }", Part),
    ("telegram", "chat", "'1'", Part),
    ("ntfy", "topic", "'backups'", Part),
    ("ntfy", "server", "'https://ntfy.example.org'", Part),
    ("ntfy", "token", "{ env = 'TOKEN' }", Part),
    ("gotify", "server", "'https://gotify.example.org'", Part),
    ("gotify", "token", "{ env = 'TOKEN' }", Part),
];

/// What a file needs around the key that is looked at.
const AROUND: &str = "[destination.local]\nservice = 'memory'\n[notify.ops]\ntype = 'ntfy'\ntopic = 'backups'\n\
    [policy.nightly]\ndestinations = ['local']\nencryption = 'none'\n";

/// A file that is right and says `key = value` in its last line, as the last key of a table.
fn file(table: &str, key: &str, value: &str) -> String {
    let line = format!("{key} = {value}\n");
    let database = |rest: &str| format!("{AROUND}[database.d]\n{rest}{line}");
    let without =
        |lines: &[&str]| lines.iter().filter(|l| !l.starts_with(key)).map(|l| format!("{l}\n")).collect::<String>();
    match (table, key) {
        ("daemon" | "signing", _) => format!("{AROUND}[{table}]\n{line}"),
        ("destination", "min_free" | "require_mount") => {
            format!("{AROUND}[destination.d]\nservice = 'fs'\nroot = '/srv'\n{line}")
        }
        ("destination", _) => {
            format!("{AROUND}[destination.d]\n{}{line}", without(&["service = 's3'", "bucket = 'b'"]))
        }
        ("encryption", "identity_files") => format!("{AROUND}[encryption.d]\nrecipients_file = '/dev/null'\n{line}"),
        ("encryption", _) => format!("{AROUND}[encryption.d]\n{line}"),
        ("policy", _) => format!("{AROUND}[policy.d]\n{line}"),
        ("database", "files" | "exclude") => {
            database(&without(&["engine = 'files'", "policy = 'nightly'", "files = ['/dev']"]))
        }
        ("database", "dump" | "restore") => {
            database(&without(&["engine = 'command'", "policy = 'nightly'", "dump = ['/bin/true']"]))
        }
        ("database", _) => database(&without(&["url = 'postgresql://db1/shop'", "policy = 'nightly'"])),
        ("keep" | "retry" | "hooks", _) => format!("{AROUND}[policy.d.{table}]\n{line}"),
        ("tls", _) => {
            database("url = 'postgresql://db1/shop'\npolicy = 'nightly'\ntls.") // `tls.KEY = …`
        }
        (kind, _) => {
            let needed = match kind {
                "email" => without(&["to = 'ops@example.org'"]),
                "telegram" => without(&["token.env = 'TOKEN'", "chat = '1'"]),
                "ntfy" => without(&["topic = 'backups'"]),
                "gotify" => without(&["server = 'https://gotify.example.org'", "token.env = 'TOKEN'"]),
                "webhook" => without(&["url = 'https://example.org'"]),
                _ => String::new(),
            };
            format!("{AROUND}[notify.d]\ntype = '{kind}'\n{needed}{line}")
        }
    }
}

/// Whether a test of this name is somewhere below a folder.
fn is_written(name: &str, below: &Path) -> bool {
    std::fs::read_dir(below).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return is_written(name, &path);
        }
        let source = path.extension().is_some_and(|e| e == "rs");
        // A suite that runs on every engine has generic functions.
        let made = |text: &str| ["(", "<"].iter().any(|next| text.contains(&format!("fn {name}{next}")));
        source && made(&std::fs::read_to_string(&path).unwrap())
    })
}

#[test]
fn the_keys_here_are_the_keys_that_are_accepted() {
    let here: BTreeSet<_> = KEYS.iter().map(|(table, key, ..)| (*table, *key)).collect();
    assert_eq!(here.len(), KEYS.len(), "a key is here twice");
    let accepted: BTreeSet<_> = accepted_keys().into_iter().collect();
    assert_eq!(here, accepted);
}

#[test]
fn every_key_can_be_written_and_one_without_effect_is_warned_of_at_its_line() {
    for (table, key, value, effect) in KEYS {
        let text = file(table, key, value);
        let dir = Dir::with(&[("qbackd.toml", &text)]);
        let loaded = dir.load().unwrap_or_else(|report| panic!("[{table}] {key}:\n{report}"));
        let last = text.lines().count();
        let rows = loaded.warnings.rows();
        let warned = rows.iter().any(|row| {
            row.line == Some(last)
                && row.message.starts_with(&format!("`{key}` of "))
                && row.message.ends_with("no effect yet")
        });
        assert_eq!(warned, matches!(effect, Unbuilt), "[{table}] {key}:\n{}", loaded.warnings);
    }
    // All of a way to notify waits, so the table itself is what the warning names.
    let dir = Dir::with(&[("qbackd.toml", AROUND)]);
    assert!(
        dir.load()
            .unwrap()
            .warnings
            .rows()
            .iter()
            .any(|row| { row.line == Some(3) && row.message == "[notify.NAME] has no effect yet" })
    );
}

#[test]
fn the_keys_without_effect_are_exactly_those_of_the_table_in_the_configuration() {
    let here: BTreeSet<_> =
        KEYS.iter().filter(|(.., effect)| matches!(effect, Unbuilt)).map(|(table, key, ..)| (*table, *key)).collect();
    let there: BTreeSet<_> =
        UNBUILT.iter().map(|(table, key, _)| (*table, *key)).filter(|(table, _)| *table != "notify").collect();
    assert_eq!(here, there);
    assert!(UNBUILT.iter().any(|(table, key, _)| (*table, *key) == ("notify", "*")));
}

#[test]
fn the_test_of_every_other_key_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named: BTreeSet<_> =
        KEYS.iter().filter_map(|(.., effect)| if let Seen(test) = effect { Some(*test) } else { None }).collect();
    let missing: BTreeSet<_> = named
        .into_iter()
        .filter(|name| !is_written(name, &root.join("tests")) && !is_written(name, &root.join("src")))
        .collect();
    assert!(missing.is_empty(), "named and not written: {missing:?}");
}
