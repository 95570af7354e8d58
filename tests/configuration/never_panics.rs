//! Whatever is in the files, it is read to its end and something sensible is said.

use proptest::prelude::*;

use super::{AROUND, Dir};

/// A file in which every kind of table occurs.
const VALID: &str = r#"
[daemon]
max_parallel = 4
timezone = "Europe/Berlin"

[destination.local]
service = "fs"
root = "/srv/bäckups"
keep = { daily = 7, weekly = 4 }

[destination.s3]
service = "s3"
bucket = "b"
secret_access_key = { file = "/x" }

[encryption.team]
recipients = ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]

[notify.ops]
type = "email"
to = ["ops@example.org"]

[policy.nightly]
full = ["02:00", "0 2 * * 1-6 Europe/Berlin"]
destinations = ["local", "s3"]
encryption = "team"
notify = [{ to = "ops", on = ["failed"] }, "ops"]
not_between = ["Mon..Fri 08:00-18:00"]
hooks = { before_backup = "/bin/true" }

[database.shop]
url = "postgresql://backup@db1/shop"
password.file = "/etc/qbackd/secrets/shop"
policy = "nightly"
tls = { mode = "verify-full" }

[database.app]
url = "sqlite:/srv/app.db"
policy = "nightly"
timeout = "2h 30m"
"#;

/// Loads and looks at everything that can be asked of the result.
fn look(files: &[(&str, &str)]) {
    let report = Dir::with(files).report();
    let (errors, warnings) = report.counts();
    let rows = report.rows();
    assert!(rows.len() >= errors + warnings);
    assert_eq!(report.lines().count(), errors + warnings);
    for row in &rows {
        assert!(row.line.is_none_or(|line| line >= 1) && row.column.is_none_or(|column| column >= 1));
    }
    assert_eq!(report.render(false).is_empty(), report.is_empty());
    assert_eq!(report.render(true).is_empty(), report.is_empty());
}

/// Something that may stand anywhere in a file.
fn scrap() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,12}",
        proptest::sample::select(vec![
            "\"",
            "'",
            "\"\"\"",
            "[",
            "]",
            "[[",
            "]]",
            "{",
            "}",
            "=",
            ".",
            ",",
            "\n",
            "\r\n",
            "\t",
            "#",
            "\\",
            "\0",
            "\u{feff}",
            "ä",
            "\u{202e}",
            "𝄞",
            "://",
            "@",
            ":",
            "-1",
            "1e999",
            "02:00",
            "2026-01-01T00:00:00Z",
            "99999999999999999999",
            "true",
            "[database.shop]",
            "[policy.nightly]\n",
            "password = ",
            "\"sqlite:\"",
            "every ",
            "\"* * * * *\"",
            "{ file = ",
            "keep = {}",
            "destinations = [1, \"x\"]",
            "destination = 1",
            "[destination.local.keep]\n",
            "AGE-SECRET-KEY-1ä",
            "url = \"a://b:ä/c@d\"",
            "\"\"\"ä",
            "notify = [[]]",
            "hooks = []",
            "root = { command = [[]] }",
        ])
        .prop_map(str::to_owned),
    ]
}

/// The valid file with some damage.
fn damaged() -> impl Strategy<Value = String> {
    proptest::collection::vec((any::<proptest::sample::Index>(), 0usize..24, scrap()), 1..6).prop_map(|edits| {
        let mut text = VALID.to_owned();
        for (at, length, scrap) in edits {
            let start = text.floor_char_boundary(at.index(text.len() + 1));
            let end = text.ceil_char_boundary((start + length).min(text.len()));
            text.replace_range(start..end, &scrap);
        }
        text
    })
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>(), lines in proptest::collection::vec(scrap(), 0..20)) {
        look(&[("a.toml", &text), ("b.toml", &lines.concat())]);
    }

    #[test]
    fn a_damaged_file_is_read_without_a_panic(text in damaged()) {
        look(&[("a.toml", &text)]);
    }

    #[test]
    fn two_files_that_say_the_same_are_read_without_a_panic(text in damaged()) {
        look(&[("a.toml", &text), ("b.toml", VALID)]);
    }

    #[test]
    fn any_schedule_is_read_without_a_panic(text in "[-0-9a-zA-Z*/,.:#~?@ äL]{0,30}") {
        let _ = text.parse::<qbackd::schedule::Schedule>();
        let _ = text.parse::<qbackd::schedule::Window>();
        look(&[("a.toml", &format!("{AROUND}full = '{text}'\n"))]);
    }
}

#[test]
fn the_file_that_is_damaged_is_right_before() {
    let report = Dir::with(&[("a.toml", VALID)]).report();
    assert_eq!(report.counts().0, 0, "{report}");
}
