//! What is said about each kind of mistake, word by word.

use super::{AROUND, Dir};

/// Only the errors of what is said about a file.
fn errors(text: &str) -> String {
    let said = Dir::with(&[("shop.toml", text)]).said();
    said.split("\n\n").filter(|block| !block.starts_with("warning")).collect::<Vec<_>>().join("\n\n")
}

/// The errors of each of these texts, each under the text's own first line.
fn all(around: &str, cases: &[&str]) -> String {
    let mut out = String::new();
    for case in cases {
        let said = errors(&format!("{around}{case}"));
        assert!(!said.trim().is_empty(), "nothing is said about:\n{case}");
        out += &format!("{}\n\n", said.trim_end());
    }
    out
}

#[test]
fn an_unknown_destination_is_shown_as_the_design_shows_it() {
    let text = r#"[destination.local]
service = "memory"

[destination.offsite]
service = "memory"

[encryption.team]
recipients = ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]

[policy.nightly]
encryption = "team"
compression = "none"
timeout = "10m"
destinations = ["local", "offsiet"]
"#;
    insta::assert_snapshot!(errors(text), @r#"
    error: unknown destination `offsiet`
      --> /etc/qbackd/shop.toml:14:26
       |
    14 | destinations = ["local", "offsiet"]
       |                          ^^^^^^^^^ no [destination.offsiet] is defined
       |
       = help: did you mean `offsite`?
    "#);
}

#[test]
fn several_errors_are_told_at_once_in_the_order_of_the_file() {
    let said = errors(
        r#"
[destination.local]
service = "fs"
root = "backups"
min_fre = "5%"

[policy.nightly]
full = "25:00"
destinations = ["locl"]
encryption = "team"
timeout = 30

[database.shop]
url = "sqlite:app.db"
policy = "nightly"
dump = ["x"]

[databse.blog]
"#,
    );
    insta::assert_snapshot!(said);
}

#[test]
fn what_is_not_toml_is_shown_with_what_else_can_be_told() {
    let said = all(
        "",
        &[
            "[destination.local\nservice = \"fs\"\n",
            "[destination.local]\nservice = fs\n[policy.p]\nfull = \"25:00\"\n",
            "[destination.local]\nservice = \"fs\nroot = \"/srv\"\n",
            "[policy.p]\nfull = \"02:00\"\ntimeout = \"1h\"\nfull = \"03:00\"\n",
            "[policy.p]\nfull = \"02:00\"\n[policy.p]\n",
            "[policy.p]\n= 3\n",
            "[policy.p]\nfull = [\"02:00\"",
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn tables_that_do_not_exist_are_refused() {
    let said = all(
        "",
        &[
            "[databse.shop]\n",
            "[destinations.local]\n",
            "[metrics]\n",
            "[destination]\nservice = \"fs\"\n",
            "destination = \"fs\"\n",
            "[[policy]]\nname = \"p\"\n",
            "[policy.Nightly]\n",
            "[policy.\"..\"]\n",
            "[encryption.none]\n",
            "[signing]\n",
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn mistakes_in_daemon() {
    let said = all(
        "[daemon]\n",
        &[
            "max_paralel = 3\n",
            "max_parallel = 0\n",
            "max_parallel = \"2\"\n",
            "state_dir = \"~/qbackd\"\n",
            "control_socket = \"qbackd.sock\"\n",
            "timezone = \"Europe/Berln\"\n",
            "listen = \"9090\"\n",
            "listen = 9090\n",
            "history_keep = \"400\"\n",
            "history_keep = \"0s\"\n",
            "status = \"owner\"\n",
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn mistakes_in_destinations() {
    let said = all(
        "[destination.d]\n",
        &[
            "root = \"/srv\"\n",
            "service = \"s33\"\nroot = \"/srv\"\n",
            "service = \"ramdisk\"\n",
            "service = \"fs\"\n",
            "service = \"fs\"\nroot = \"srv\"\n",
            "service = \"fs\"\nroot = [\"/srv\"]\n",
            "service = \"fs\"\nroot.fil = \"/srv\"\n",
            "service = \"fs\"\nroot = { file = \"x\", env = \"X\" }\n",
            "service = \"fs\"\nroot = \"/srv\"\nbucket = \"b\"\n",
            "service = \"fs\"\nroot = \"/srv\"\nmin_free = \"105%\"\n",
            "service = \"fs\"\nroot = \"/srv\"\nallow_http = true\n",
            "service = \"s3\"\nbuckett = \"b\"\n",
            "service = \"s3\"\nbucket = \"b\"\nrequire_mount = true\n",
            "service = \"s3\"\nbucket = \"b\"\nvolume_size = \"5\"\nconcurrency = 0\nformat = \"restic\"\n",
            "service = \"s3\"\nbucket = \"b\"\nmax_bandwidth = \"fast\"\nretries = -1\n",
            "service = \"memory\"\nkeep = { daily = 0, weakly = 3 }\n",
            "service = \"memory\"\nkeep = {}\n",
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn mistakes_in_encryption() {
    let said = all(
        "[encryption.e]\n",
        &[
            "",
            "recipients = []\n",
            "recipients = [\"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\", \"age1ql3z\"]\n",
            "recipients = \"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\"\n",
            "recipients_file = \"recipients.txt\"\n",
            "recipient = [\"age1\"]\nrecipients_file = \"/dev/null\"\n",
            "recipients_file = \"/dev/null\"\npassphrase.env = \"PW\"\n",
            "recipients_file = \"/dev/null\"\nidentity_files = \"/dev/null\"\n",
            "passphrase.credential = \"a/b\"\n",
            "passphrase.command = []\n",
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn mistakes_in_policies() {
    let said = all(
        "[policy.p]\n",
        &[
            "ful = \"02:00\"\n",
            "full = 02:00\n",
            "full = [\"02:00\", \"25:00\"]\n",
            "destinations = \"local\"\n",
            "destinations = []\n",
            "encryption = \"team\"\n",
            "compression = \"gzip\"\n",
            "compression = \"zstd:22\"\n",
            "keep = \"7d\"\n",
            "keep = { within = 30 }\n",
            "timeout = 30\n",
            "timeout = \"30\"\n",
            "stall_timeout = \"0s\"\n",
            "retry = { attempts = 0, after = \"soon\" }\n",
            "retry = 3\n",
            "not_between = [\"Mon..Fri 8-18\", \"Mon..Fri 08:00-18:00\", \"08:00-08:00\"]\n",
            "pause_after = -1\n",
            "enabled = \"no\"\n",
            "notify = \"ops\"\n",
            "notify = { on = [\"failed\"] }\n",
            "owner = \"web admins\"\n",
            "hooks = { before = \"/bin/true\" }\n",
            "hooks = { before_backup = \"\", after_backup = [\"/bin/true\"] }\n",
            "stop_units = [\"nginx.service\", \"/etc/init.d/nginx\"]\n",
            "pitr = \"yes\"\nmax_loss = \"1 minut\"\n",
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn mistakes_in_schedules() {
    let schedules = [
        "",
        "2",
        "2am",
        "24:00",
        "02:60",
        "Sunn 02:00",
        "02:00 Sun",
        "Mon..Fir 02:00",
        "every 5h",
        "every day",
        "every 10s",
        "0 2 * *",
        "0 25 * * *",
        "0 2 31 4 *",
        "0 2 * * 8",
        "*-02-30",
        "02:00 CET/Berlin",
        "tomorrow",
        "@nightly",
    ];
    let cases: Vec<_> = schedules.iter().map(|text| format!("full = \"{text}\"\n")).collect();
    let said = all("[policy.p]\n", &cases.iter().map(String::as_str).collect::<Vec<_>>());
    insta::assert_snapshot!(said);
}

#[test]
fn mistakes_in_databases() {
    let said = all(
        AROUND,
        &[
            "[database.d]\npolicy = \"nightly\"\n",
            "[database.d]\nurl = \"sqlite:/dev/null\"\n",
            "[database.d]\nurl = \"sqlite:/dev/null\"\npolicy = \"nightli\"\n",
            "[database.d]\nurl = \"/srv/app.db\"\npolicy = \"nightly\"\n",
            "[database.d]\nurl = \"sqlite:app.db\"\npolicy = \"nightly\"\n",
            "[database.d]\nurl = \"sqlite://srv/app.db\"\npolicy = \"nightly\"\n",
            "[database.d]\nurl = \"postgre://db/shop\"\npolicy = \"nightly\"\n",
            "[database.d]\nurl = \"oracle://db/shop\"\npolicy = \"nightly\"\n",
            "[database.d]\nengine = \"postgres\"\npolicy = \"nightly\"\n",
            "[database.d]\nurl = \"mysql://db/shop\"\nengine = \"postgresql\"\npolicy = \"nightly\"\n",
            "[database.d]\nengine = \"postgresql\"\npolicy = \"nightly\"\n",
            "[database.d]\nurl = \"sqlite:/dev/null\"\npolicy = \"nightly\"\ndump = [\"/bin/true\"]\njobs = 2\n",
            "[database.d]\nengine = \"files\"\npolicy = \"nightly\"\n",
            "[database.d]\nengine = \"files\"\nfiles = []\npolicy = \"nightly\"\n",
            "[database.d]\nengine = \"files\"\nfiles = [\"/dev\", \"srv\"]\nexclude = [\"[a\"]\npolicy = \"nightly\"\n",
            "[database.d]\nengine = \"command\"\npolicy = \"nightly\"\nrestore = []\n",
            "[database.d]\nengine = \"command\"\ndump = \"/bin/true\"\npolicy = \"nightly\"\n",
            "[database.d]\nengine = \"command\"\ndump = [\"pg_dump | gzip\"]\npolicy = \"nightly\"\n",
            "[database.d]\nurl = \"postgresql://db/shop\"\npolicy = \"nightly\"\nincremental = \"daily\"\npitr = true\n",
            "[database.d]\nurl = \"sqlite:/dev/null\"\npolicy = \"nightly\"\nincremental = \"daily\"\n",
            "[database.d]\nurl = \"postgresql://db/shop\"\npolicy = \"nightly\"\nmethod = \"fysical\"\n",
            "[database.d]\nurl = \"postgresql://db/shop\"\npolicy = \"nightly\"\nreplicas = [\"mysql://db2/shop\"]\nmax_lag = \"0s\"\n",
            "[database.d]\nurl = \"postgresql://db/shop\"\npolicy = \"nightly\"\ntls = { mode = \"prefer\", ca = \"ca.pem\" }\n",
            "[database.d]\nurl = \"postgresql://db/shop\"\npolicy = \"nightly\"\nnice = 20\nionice = \"low\"\njobs = 0\nchain_max = 0\n",
            "[database.d]\nurl = \"postgresql://db/shop\"\npolicy = \"nightly\"\ndatabases = \"shop\"\ninclude_tables = []\ncheck_sql = \"\"\n",
            "[database.d]\nurl = \"postgresql://db/shop\"\npolicy = \"nightly\"\ntools_dir = \"bin\"\nlock_timeout = 5\n",
            "[policy.empty]\n[database.d]\nurl = \"sqlite:/dev/null\"\npolicy = \"empty\"\n",
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn an_incremental_of_the_policy_that_the_engine_cannot_do_points_at_both_lines() {
    let text = format!(
        "{AROUND}incremental = \"12:00\"\n[database.a]\nurl = \"sqlite:/dev/null\"\npolicy = \"nightly\"\n[database.b]\nurl = \"sqlite:/dev/null\"\npolicy = \"nightly\"\n"
    );
    // Once for the policy, not for each of its databases.
    insta::assert_snapshot!(errors(&text), @r#"
    error: logical backups of engine `sqlite` cannot do `incremental`
      --> /etc/qbackd/shop.toml:8:1
       |
     8 | incremental = "12:00"
       | ^^^^^^^^^^^ asked for here
     9 | [database.a]
    10 | url = "sqlite:/dev/null"
       |       ------------------ a logical backup of `sqlite`
       |
       = help: leave `incremental` out of the policy of [database.a]
    "#);
}

#[test]
fn mistakes_in_notify() {
    let said = all(
        "[notify.n]\n",
        &[
            "",
            "type = \"emial\"\n",
            "type = 5\n",
            "type = \"email\"\nto = \"ops\"\n",
            "type = \"email\"\nto = [\"ops@example.org\"]\ntls = \"ssl\"\nport = 25\n",
            "type = \"webhook\"\n",
            "type = \"webhook\"\nurl = \"example.org/hook\"\nheaders = \"X: y\"\n",
            "type = \"command\"\ncommand = \"/bin/true\"\n",
            "type = \"slack\"\nurl.fille = \"/x\"\n",
            "type = \"telegram\"\nchat = \"1\"\n",
            "type = \"ntfy\"\nserver = \"ntfy.sh\"\n",
            "type = \"gotify\"\nserver = \"https://x\"\n",
            "type = \"email\"\nto = \"a@b.c\"\nserver = \"mail:x\"\nusername = \"me\"\n",
            "type = \"email\"\nto = \"a@b.c\"\nserver = \"mail\"\nusername = \"me\"\npassword.env = \"PW\"\ntls = \"none\"\n",
            "type = \"email\"\nto = \"a@b.c\"\npassword.env = \"PW\"\n",
            "type = \"webhook\"\nurl = \"https://x\"\ntemplate = \"{host}: {txt}\"\n",
            "type = \"webhook\"\nurl = \"https://x\"\ntemplate = '{\"text\": {text}}'\n",
            "type = \"telegram\"\ntoken.env = \"T\"\nchat = \"1\"\nserver = \"telegram\"\n",
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn the_value_of_a_secret_is_never_shown() {
    const SECRET: &str = "hunter2-geheim";
    let cases = [
        format!("[database.d]\npassword = \"{SECRET}\"\n"),
        format!("[database.d]\npassword = {SECRET}\n"),
        format!("[database.d]\npassword = \"{SECRET}\n"),
        format!("[database.d]\npassword = \"\"\"\n{SECRET}\n\"\"\"\n"),
        format!("[database.d]\npassword = [\"{SECRET}\"]\n"),
        format!("[database.d]\npassword = {{ file = 5, \"{SECRET}\" = 1 }}\n"),
        format!("[database.d]\npaswort = \"{SECRET}\"\n"),
        format!("[database.d]\n# the old password = \"{SECRET}\"\nurl = 5 # password = {SECRET}\n"),
        format!("[database.d]\nurl = \"postgresql://me:{SECRET}@db/shop\"\npolicy = \"x\"\n"),
        format!("[database.d]\nurl = \"postgresql://me:p/{SECRET}@db/shop\"\n"),
        format!("[database.d]\nurl = \"oracle://me:{SECRET}@db/shop\"\n"),
        format!("[database.d]\nurl = \"postgresql://db/shop?password={SECRET}\"\n"),
        format!("[database.d]\nreplicas = [\"postgresql://me:{SECRET}@db/shop\", 5]\n"),
        format!("[database.d]\npolicy = \"mysql://me:{SECRET}@db\"\n"),
        format!("[database.d]\ntls = {{ key = \"{SECRET}\", mode = \"x\" }}\n"),
        format!("database.d = {{ password = \"{SECRET}\", jobs = \"x\", url = 7 }}\n"),
        format!("[encryption.e]\npassphrase = \"{SECRET}\"\n"),
        format!("[encryption.e]\nrecipients = [\"AGE-SECRET-KEY-1{SECRET}\"]\n"),
        format!("[destination.d]\nservice = \"s3\"\nsecret_access_key = \"{SECRET}\"\n"),
        format!("[destination.d]\nservice = \"s3\"\nsecret_acess_key = \"{SECRET}\"\n"),
        format!("[destination.d]\nservice = \"webdav\"\nendpoint = \"https://me:{SECRET}@dav\"\nrot = 1\n"),
        format!("[notify.n]\ntype = \"slack\"\nurl = \"ftp://hooks/{SECRET}\"\n"),
        format!("[notify.n]\ntype = \"telegram\"\ntoken = \"{SECRET}\"\nchat = 5\n"),
        format!("[notify.n]\ntype = \"webhook\"\nurl = \"https://x\"\nheaders = {{ token = \"{SECRET}\", b = 1 }}\n"),
    ];
    for case in &cases {
        let report = Dir::with(&[("shop.toml", case)]).report();
        let lines: String = report.lines().map(|(_, line)| line).collect();
        let rows = serde_json::to_string(&report.rows()).unwrap();
        let error = qbackd::error::Error::from(&report).to_string();
        for said in [report.render(false), report.render(true), lines, rows, error] {
            assert!(!said.is_empty() && !said.contains("geheim"), "{case}\n=> {said}");
        }
    }
}

#[test]
fn stars_do_not_move_the_address_of_what_stands_behind_them() {
    let text = "database.d = { password = \"a-long-long-secret\", jobs = \"x\" }\n";
    let said = errors(text);
    let column = text.find("\"x\"").unwrap() + 1;
    assert!(said.contains(&format!("--> /etc/qbackd/shop.toml:1:{column}\n")), "{said}");
    assert!(said.contains("password = \"***\", jobs = \"x\" }"), "{said}");
}
