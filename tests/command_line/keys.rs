//! `keygen` and `init`: keys and a first configuration, in front of the real age.

use std::os::unix::fs::PermissionsExt;

use super::{mode, run, tool, utf8};

#[test]
fn a_new_identity_is_one_that_age_itself_takes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("identity.txt");
    let (code, out, err) = run(&["keygen", "-o", utf8(&file)]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("Store a copy of the identity somewhere else"), "{err}");
    let recipient = out.trim_end();
    assert_eq!(mode(&file), 0o600);

    // The form of age-keygen(1), to the line.
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].starts_with("# created: 20") && lines[0].len() == "# created: 2026-11-20T02:00:00Z".len(),
        "{text}"
    );
    assert_eq!(lines[1], format!("# public key: {recipient}"));
    assert!(lines[2].starts_with("AGE-SECRET-KEY-1") && lines.len() == 3);
    assert!(!format!("{out}{err}").contains(lines[2]), "the key was shown");

    assert_eq!(tool(&["age-keygen", "-y", utf8(&file)], b""), out);
    let sealed = dir.path().join("sealed");
    tool(&["age", "-r", recipient, "-o", utf8(&sealed)], b"hello");
    assert_eq!(tool(&["age", "-d", "-i", utf8(&file), utf8(&sealed)], b""), "hello");
    assert_eq!(run(&["keygen", "-y", utf8(&file)]), (Some(0), out.clone(), String::new()));

    // Nothing is overwritten.
    let (code, out, err) = run(&["keygen", "-o", utf8(&file)]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("hint: nothing is overwritten"), "{err}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn keygen_without_a_file_prints_the_identity_alone() {
    let (code, out, err) = run(&["keygen"]);
    assert_eq!(code, Some(0));
    let recipient = tool(&["age-keygen", "-y"], out.as_bytes());
    assert_eq!(err, format!("Public key: {recipient}"));
    let (code, out, _) = run(&["keygen", "--json"]);
    assert_eq!(code, Some(2));
    assert!(!out.contains("AGE-SECRET-KEY"));
}

#[test]
fn recipients_of_identities_that_age_keygen_made_are_printed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("many");
    let two = format!("{}{}", tool(&["age-keygen"], b""), tool(&["age-keygen"], b""));
    std::fs::write(&file, &two).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let (code, out, _) = run(&["keygen", "-y", utf8(&file)]);
    assert_eq!((code, out), (Some(0), tool(&["age-keygen", "-y", utf8(&file)], b"")));

    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let (code, _, err) = run(&["keygen", "-y", utf8(&file)]);
    assert_eq!(code, Some(78));
    assert!(err.contains(&format!("hint: chmod o-rwx {}", file.display())), "{err}");
}

#[test]
fn init_writes_a_configuration_and_a_key_that_open_what_they_close() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("etc \"quoted\"");
    let root = dir.path().join("backups");
    let args = ["init", "--config", utf8(&config), "--root", utf8(&root)];
    let (code, out, err) = run(&args);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("Store a copy of the identity somewhere else"), "{err}");
    assert!(out.contains("qbackd check --config"), "{out}");
    let file = |name: &str| config.join(name);
    assert_eq!([mode(&file("identity.txt")), mode(&file("recipients.txt"))], [0o600, 0o644]);
    assert!(!format!("{out}{err}").contains("AGE-SECRET-KEY"));

    let (code, out, err) = run(&["check", "--config", utf8(&config)]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(
        out.starts_with("ok: 0 databases, 1 destination\n") && out.contains("policy nightly  full  02:00"),
        "{out}"
    );
    // Its examples are right too, once the # is taken away.
    let text = std::fs::read_to_string(file("qbackd.toml")).unwrap();
    let examples = text
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|l| l.contains(" = ") || l.starts_with('[')).unwrap_or(line));
    std::fs::write(file("qbackd.toml"), examples.collect::<Vec<_>>().join("\n")).unwrap();
    let (code, out, err) = run(&["check", "--config", utf8(&config)]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("ok: 2 databases, 1 destination"), "{out}");
    std::fs::write(file("qbackd.toml"), text).unwrap();

    let table: toml::Table = std::fs::read_to_string(file("qbackd.toml")).unwrap().parse().unwrap();
    assert_eq!(table["destination"]["local"]["root"].as_str(), root.to_str());
    assert_eq!(table["encryption"]["default"]["recipients_file"].as_str(), file("recipients.txt").to_str());

    let sealed = dir.path().join("sealed");
    tool(&["age", "-R", utf8(&file("recipients.txt")), "-o", utf8(&sealed)], b"hello");
    assert_eq!(tool(&["age", "-d", "-i", utf8(&file("identity.txt")), utf8(&sealed)], b""), "hello");
}

#[test]
fn init_writes_nothing_at_all_where_something_is() {
    for there in ["qbackd.toml", "other.toml", "recipients.txt", "identity.txt"] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(there), "mine").unwrap();
        let (code, _, err) = run(&["init", "--config", utf8(dir.path())]);
        assert_eq!(code, Some(1), "{there}");
        assert!(err.contains(there) && err.contains("nothing was written"), "{err}");
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
        assert_eq!(left, [there]);
        assert_eq!(std::fs::read(dir.path().join(there)).unwrap(), b"mine");
    }
}
