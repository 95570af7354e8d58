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
    /// It is a part of the key that its table is named for.
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
    ("daemon", "control_socket", "'/run/q.sock'", Seen("verbs_find_the_daemon_at_its_control_socket")),
    ("daemon", "max_parallel", "3", Seen("as_many_run_at_a_time_as_max_parallel_says")),
    (
        "daemon",
        "timezone",
        "'Europe/Berlin'",
        Seen("check_shows_the_next_three_times_of_each_schedule_in_its_time_zone"),
    ),
    ("daemon", "listen", "'127.0.0.1:9090'", Seen("metrics_and_health_are_served_where_listen_says")),
    ("daemon", "history_keep", "'30d'", Seen("history_older_than_history_keep_is_forgotten_daily")),
    ("daemon", "shutdown_grace", "'5m'", Seen("a_stop_gives_runs_their_grace_and_then_cancels_them")),
    ("daemon", "status", "'owners'", Seen("with_status_owners_others_see_nothing")),
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
    ("policy", "full", "'02:00'", Seen("a_database_is_backed_up_when_its_schedule_says")),
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
    ("policy", "retry", "{ attempts = 3 }", Seen("a_failed_run_is_tried_again_as_retry_says")),
    ("policy", "randomized_delay", "'10m'", Seen("the_delay_of_a_database_is_stable_and_puts_its_run_off")),
    ("policy", "persistent", "false", Seen("what_was_missed_is_made_up_for_once_and_only_if_persistent")),
    ("policy", "not_between", "['08:00-18:00']", Seen("a_blackout_window_puts_a_run_off")),
    ("policy", "pause_after", "0", Seen("with_pause_after_0_failures_never_pause")),
    ("policy", "stale_after", "'3d'", Seen("silence_is_stale_also_when_nothing_ever_ran")),
    ("policy", "notify", "'ops'", Seen("those_whom_the_policy_names_are_told_of_failure_and_recovery")),
    ("policy", "owner", "'www-data'", Seen("an_owner_may_act_on_their_own_databases_and_no_other")),
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
    ("keep", "last", "1", Seen("each_rule_keeps_what_its_name_says")),
    ("keep", "within", "'30d'", Seen("each_rule_keeps_what_its_name_says")),
    ("keep", "hourly", "1", Seen("each_rule_keeps_what_its_name_says")),
    ("keep", "daily", "1", Seen("each_rule_keeps_what_its_name_says")),
    ("keep", "weekly", "1", Seen("each_rule_keeps_what_its_name_says")),
    ("keep", "monthly", "1", Seen("each_rule_keeps_what_its_name_says")),
    ("keep", "yearly", "1", Seen("each_rule_keeps_what_its_name_says")),
    ("keep", "full", "1", Seen("each_rule_keeps_what_its_name_says")),
    ("keep", "incremental", "'7d'", Unbuilt),
    ("keep", "pitr", "'7d'", Seen("each_rule_keeps_what_its_name_says")),
    ("retry", "attempts", "3", Seen("a_failed_run_is_tried_again_as_retry_says")),
    ("retry", "after", "'1m'", Seen("a_failed_run_is_tried_again_as_retry_says")),
    ("hooks", "before_backup", "'true'", Seen("each_hook_is_told_what_the_manual_says")),
    ("hooks", "after_backup", "'true'", Seen("each_hook_is_told_what_the_manual_says")),
    ("hooks", "on_failure", "'true'", Seen("each_hook_is_told_what_the_manual_says")),
    ("hooks", "before_restore", "'true'", Seen("each_hook_is_told_what_the_manual_says")),
    ("hooks", "after_restore", "'true'", Seen("each_hook_is_told_what_the_manual_says")),
    ("hooks", "timeout", "'1m'", Seen("a_hook_that_hangs_is_killed_with_all_it_started")),
    ("tls", "mode", "'require'", Part),
    ("tls", "ca", "'/dev/null'", Part),
    ("tls", "cert", "'/dev/null'", Part),
    ("tls", "key", "{ file = '/dev/null' }", Part),
    ("email", "to", "['ops@example.org']", Seen("a_mail_has_text_and_html_and_says_that_a_program_wrote_it")),
    (
        "email",
        "from",
        "'qbackd@example.org'",
        Seen("it_logs_in_over_tls_of_either_kind_and_only_with_a_trusted_certificate"),
    ),
    ("email", "server", "'mail:587'", Seen("a_mail_has_text_and_html_and_says_that_a_program_wrote_it")),
    ("email", "tls", "'tls'", Seen("it_logs_in_over_tls_of_either_kind_and_only_with_a_trusted_certificate")),
    ("email", "username", "'qbackd'", Seen("it_logs_in_over_tls_of_either_kind_and_only_with_a_trusted_certificate")),
    (
        "email",
        "password",
        "{ env = 'PW' }",
        Seen("it_logs_in_over_tls_of_either_kind_and_only_with_a_trusted_certificate"),
    ),
    ("webhook", "url", "'https://example.org'", Seen("a_webhook_gets_the_json_document_with_its_headers")),
    (
        "webhook",
        "headers",
        "{ X-Token = { env = 'TOKEN' } }",
        Seen("a_webhook_gets_the_json_document_with_its_headers"),
    ),
    ("webhook", "template", "'{text}'", Seen("a_webhook_gets_what_its_template_says_escaped_for_its_type")),
    (
        "command",
        "command",
        "['/bin/true']",
        Seen("a_command_gets_the_document_on_stdin_and_the_short_of_it_in_its_environment"),
    ),
    ("healthchecks", "url", "'https://hc-ping.com/x'", Seen("a_check_hears_of_start_success_failure_and_the_rest")),
    ("slack", "url", "{ env = 'HOOK' }", Seen("slack_gets_a_text_that_mentions_and_marks_nothing")),
    ("discord", "url", "{ env = 'HOOK' }", Seen("discord_gets_a_text_that_mentions_nobody_and_is_short_enough")),
    ("telegram", "token", "{ env = 'TOKEN' }", Seen("telegram_gets_a_message_for_its_chat")),
    ("telegram", "chat", "'1'", Seen("telegram_gets_a_message_for_its_chat")),
    ("telegram", "server", "'https://telegram.example.org'", Seen("telegram_gets_a_message_for_its_chat")),
    ("ntfy", "topic", "'backups'", Seen("ntfy_gets_title_message_and_priority")),
    ("ntfy", "server", "'https://ntfy.example.org'", Seen("ntfy_gets_title_message_and_priority")),
    ("ntfy", "token", "{ env = 'TOKEN' }", Seen("ntfy_gets_title_message_and_priority")),
    ("gotify", "server", "'https://gotify.example.org'", Seen("gotify_gets_title_message_and_priority")),
    ("gotify", "token", "{ env = 'TOKEN' }", Seen("gotify_gets_title_message_and_priority")),
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
                "email" => without(&["to = 'ops@example.org'", "username = 'qbackd'", "password.env = 'PW'"]),
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
}

#[test]
fn the_keys_without_effect_are_exactly_those_of_the_table_in_the_configuration() {
    let here: BTreeSet<_> =
        KEYS.iter().filter(|(.., effect)| matches!(effect, Unbuilt)).map(|(table, key, ..)| (*table, *key)).collect();
    let there: BTreeSet<_> = UNBUILT.iter().map(|(table, key, _)| (*table, *key)).collect();
    assert_eq!(here, there);
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
