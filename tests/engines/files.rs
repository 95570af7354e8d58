//! What is special to the files engine: everything tar knows, told by the real `tar`, and trees that change while they are read.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use qbackd::engine::{DumpRequest, RestoreRequest, Selection, SourceOptions, registry};
use qbackd::error::Kind;
use qbackd::model::BackupType;

use crate::support::fixture::{FilesFixture, Fixture, is_root, open, sh, tree_fingerprint};
use crate::support::memory::{MemorySink, back_up, dump, run_in};
use crate::support::tree::{LARGE, World, tar};

fn to(dir: &Path) -> RestoreRequest {
    RestoreRequest { to: Some(dir.display().to_string()), ..RestoreRequest::default() }
}

fn only(dir: &Path, files: &[&str]) -> RestoreRequest {
    let files = files.iter().map(ToString::to_string).collect();
    RestoreRequest { only: Selection { files, ..Selection::default() }, ..to(dir) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_tar_extracts_exactly_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let fixture = FilesFixture::new(dir.path());
    let engine = open("files", &fixture.seed());
    let backup = back_up(engine.as_ref(), "files", &run_in(dir.path(), "web")).await.unwrap();
    assert_eq!(backup.artifacts.keys().next().unwrap().as_str(), "web.tar");
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let place = ["-C", out.to_str().unwrap()];
    tar(&[&["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf", "-"], &place[..]].concat(), backup.content());
    let extracted = out.join(fixture.tree.strip_prefix("/").unwrap());
    assert_eq!(tree_fingerprint(&extracted), fixture.fingerprint());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_into_another_folder_is_exact_too() {
    let dir = tempfile::tempdir().unwrap();
    let fixture = FilesFixture::new(dir.path());
    let engine = open("files", &fixture.seed());
    let run = run_in(dir.path(), "web");
    let backup = back_up(engine.as_ref(), "files", &run).await.unwrap();
    let out = dir.path().join("new/folder");
    let restored = engine.restore(&backup, &to(&out), &run).await.unwrap();
    assert_eq!(tree_fingerprint(&out.join(fixture.tree.strip_prefix("/").unwrap())), fixture.fingerprint());
    if is_root() {
        assert_eq!(restored.warnings, Vec::<String>::new());
    }
    let object = &backup.manifest().objects[0];
    assert_eq!((object.kind.as_str(), object.name.as_str()), ("folder", fixture.tree.to_str().unwrap()));
    assert_eq!(object.count, restored.objects[0].count);
    assert_eq!(object.bytes, restored.objects[0].bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn holes_are_neither_stored_nor_filled() {
    let world = World::new();
    let file = world.file("sparse", b"");
    std::fs::File::options().write(true).open(&file).unwrap().set_len(1 << 40).unwrap();
    let backup = world.back_up("").await;
    assert!(backup.content().len() < 20_000, "{} bytes", backup.content().len());
    let out = world.out("out");
    world.engine("").restore(&backup, &to(&out), &world.run).await.unwrap();
    let meta = std::fs::metadata(world.below(&out).join("sparse")).unwrap();
    assert_eq!((meta.len(), meta.blocks()), (1 << 40, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn excluded_names_and_paths_are_left_out_with_all_below() {
    let world = World::new();
    for path in ["keep/a.txt", "keep/a.tmp", "cache/b", "deep/cache/c", "logs/x.log", "logs/old/y.log"] {
        world.file(path, b"x");
    }
    let exclude =
        format!("exclude = [\"*.tmp\", \"cache\", \"{}/logs/*.log\", \"**/nothing/**\"]", world.tree.display());
    let backup = world.back_up(&exclude).await;
    let listing = tar(&["-tf", "-"], backup.content());
    let base = world.tree.strip_prefix("/").unwrap().display().to_string();
    let mut names: Vec<&str> = listing.lines().map(|line| line.strip_prefix(base.as_str()).unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["/", "/deep/", "/keep/", "/keep/a.txt", "/logs/", "/logs/old/", "/logs/old/y.log"]);
    assert_eq!(backup.manifest().objects[0].count, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_an_empty_or_a_linked_path_is_no_backup() {
    let world = World::new();
    let refused = async |tree: &Path| {
        let engine = open("files", &format!("files = [\"{}\"]", tree.display()));
        dump(engine.as_ref(), &world.run, &MemorySink::default()).await.unwrap_err()
    };
    let error = refused(&world.tree.join("absent")).await;
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.line().contains("absent"), "{error}");
    std::fs::create_dir(world.tree.join("empty")).unwrap();
    let error = refused(&world.tree).await;
    assert!(error.line().contains("holds no files"), "{error}");
    let link = world.out("link");
    std::os::unix::fs::symlink(&world.tree, &link).unwrap();
    assert!(refused(&link).await.line().contains("symbolic link"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_file_is_archived_under_its_path() {
    let world = World::new();
    let file = world.file("one", b"content");
    let engine = open("files", &format!("files = [\"{}\"]", file.display()));
    let backup = back_up(engine.as_ref(), "files", &world.run).await.unwrap();
    let name = file.strip_prefix("/").unwrap().to_str().unwrap();
    assert_eq!(tar(&["-xOf", "-", name], backup.content()), "content");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_is_left_out_with_a_note() {
    let world = World::new();
    world.file("file", b"x");
    let _socket = std::os::unix::net::UnixListener::bind(world.tree.join("socket")).unwrap();
    let backup = world.back_up("").await;
    let notes = &backup.manifest().notes;
    assert!(notes.len() == 1 && notes[0].contains("socket is not archived"), "{notes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_file_fails_the_backup_and_names_the_remedy() {
    if is_root() {
        // Root reads everything, so the same test runs once more as nobody.
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let binary = dir.path().join("tests");
        std::fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
        let name = "engines::files::an_unreadable_file_fails_the_backup_and_names_the_remedy";
        let drop = ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--"];
        let said = sh("setpriv", &[&drop[..], &[binary.to_str().unwrap(), name, "--exact"]].concat());
        assert!(said.contains("1 passed"), "{said}");
        return;
    }
    let world = World::new();
    world.file("fine", b"x");
    for n in 0..7 {
        let file = world.file(&format!("secret-{n}"), b"x");
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o000)).unwrap();
    }
    let sink = MemorySink::default();
    let engine = world.engine("");
    let error = dump(engine.as_ref(), &world.run, &sink).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotPermitted);
    assert!(error.line().contains("secret-") && error.line().ends_with("and 2 more"), "{error}");
    assert!(error.remedy().unwrap().contains("CAP_DAC_READ_SEARCH"), "{error}");
    let excluding = world.engine("exclude = [\"secret-*\"]");
    let found = excluding.inspect(&world.run).await.unwrap();
    // What the first walk could not know yet fails the second.
    let request = DumpRequest { kind: BackupType::Full, parent: None };
    let error = engine.dump(&found, &request, &sink, &world.run).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotPermitted);
    assert!(sink.finished().await.is_empty());
    let backup = back_up(excluding.as_ref(), "files", &world.run).await.unwrap();
    let restored = excluding.restore(&backup, &to(&world.out("out")), &world.run).await.unwrap();
    assert!(restored.warnings.iter().any(|w| w.contains("only root may")), "{:?}", restored.warnings);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_come_back_by_path_and_by_glob() {
    let world = World::new();
    for path in ["etc/a.conf", "etc/b.conf", "etc/sub/c.conf", "srv/d"] {
        world.file(path, path.as_bytes());
    }
    let backup = world.back_up("").await;
    let engine = world.engine("");
    let tree = world.tree.display().to_string();
    for (n, (wish, expected)) in [
        (format!("{tree}/srv/d"), vec!["srv/d"]),
        (tree[1..].to_owned() + "/etc/sub", vec!["etc/sub/c.conf"]),
        (format!("{tree}/etc/*.conf"), vec!["etc/a.conf", "etc/b.conf"]),
        ("**/*.conf".to_owned(), vec!["etc/a.conf", "etc/b.conf", "etc/sub/c.conf"]),
    ]
    .into_iter()
    .enumerate()
    {
        let out = world.out(&format!("out-{n}"));
        let restored = engine.restore(&backup, &only(&out, &[&wish]), &world.run).await.unwrap();
        assert_eq!(restored.objects[0].count, Some(expected.len() as u64), "{wish}");
        for path in expected {
            assert_eq!(std::fs::read(world.below(&out).join(path)).unwrap(), path.as_bytes());
        }
    }
    let error = engine.restore(&backup, &only(&world.out("x"), &["/no/such", "**/d"]), &world.run).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.line().ends_with("matches /no/such"), "{error}");
    let tables = Selection { tables: vec!["t".into()], ..Selection::default() };
    let request = RestoreRequest { only: tables, ..to(&world.out("x")) };
    assert_eq!(engine.restore(&backup, &request, &world.run).await.unwrap_err().kind(), Kind::Usage);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_file_is_an_error_before_it_is_touched() {
    let world = World::new();
    let file = world.file("file", b"old");
    let other = world.file("other", b"other");
    let backup = world.back_up("").await;
    std::fs::write(&file, "newer").unwrap();
    std::fs::remove_file(&other).unwrap();
    let engine = world.engine("");
    let plan = engine.plan_restore(&backup, &RestoreRequest::default(), &world.run).await.unwrap();
    assert!(plan.replaces.len() == 1 && plan.replaces[0].contains(world.tree.to_str().unwrap()), "{:?}", plan.replaces);
    let error = engine.restore(&backup, &RestoreRequest::default(), &world.run).await.unwrap_err();
    assert!(error.line().contains("file exists") && error.remedy().unwrap().contains("--overwrite"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), b"newer");
    let inode = std::fs::metadata(&file).unwrap().ino();
    let request = RestoreRequest { overwrite: true, ..RestoreRequest::default() };
    engine.restore(&backup, &request, &world.run).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"old");
    assert_eq!(std::fs::read(&other).unwrap(), b"other");
    assert_ne!(std::fs::metadata(&file).unwrap().ino(), inode, "it was written in place, not renamed over");
    assert_eq!(std::fs::read_dir(&world.tree).unwrap().count(), 2, "something temporary was left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_fails_half_way_leaves_no_half_file() {
    let world = World::new();
    world.file("large", &vec![7; LARGE]);
    let mut backup = world.back_up("").await;
    backup.breaks_after = Some(LARGE / 2);
    let out = world.out("out");
    world.engine("").restore(&backup, &to(&out), &world.run).await.unwrap_err();
    assert_eq!(std::fs::read_dir(world.below(&out)).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_come_back_by_name_where_the_name_is_known() {
    let world = World::new();
    let file = world.file("file", b"x");
    if !is_root() {
        let backup = world.back_up("").await;
        let restored = world.engine("").restore(&backup, &to(&world.out("out")), &world.run).await.unwrap();
        assert!(restored.warnings[0].contains("only root may"), "{:?}", restored.warnings);
        return;
    }
    let known = sh("id", &["-u", "nobody"]).trim().parse::<u32>().unwrap();
    std::os::unix::fs::chown(&file, Some(known), Some(987_654)).unwrap();
    let mut backup = world.back_up("").await;
    assert!(tar(&["-tvf", "-"], backup.content()).contains("nobody/987654"));
    // The archive of a machine on which nobody had another number.
    let mut archive = backup.content().to_vec();
    let header = archive.windows(6).position(|w| w == b"nobody").unwrap() / 512 * 512;
    let mut changed = tar::Header::from_byte_slice(&archive[header..header + 512]).clone();
    changed.set_uid(4242);
    changed.set_cksum();
    archive[header..header + 512].copy_from_slice(changed.as_bytes());
    backup.set_content(archive);
    let out = world.out("out");
    world.engine("").restore(&backup, &to(&out), &world.run).await.unwrap();
    let meta = std::fs::metadata(world.below(&out).join("file")).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (known, 987_654));
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_hard_links_and_odd_names_survive() {
    let world = World::new();
    let first = world.file("first", b"content");
    for n in 0..2000 {
        std::fs::hard_link(&first, world.tree.join(format!("link-{n}"))).unwrap();
    }
    for name in [&b"-rf"[..], b"\xff\xfe", b"a\nb", b"%s%n", b" ", b"~", b"..."] {
        std::fs::write(world.tree.join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    let backup = world.back_up("").await;
    let out = world.out("out");
    world.engine("").restore(&backup, &to(&out), &world.run).await.unwrap();
    assert_eq!(tree_fingerprint(&world.below(&out)), tree_fingerprint(&world.tree));
}

#[test]
fn wrong_paths_and_globs_are_errors_of_their_keys() {
    let open = registry::by_name("files").unwrap().open.unwrap();
    for (keys, key) in [
        ("", "files"),
        ("files = [\"etc\"]", "files"),
        ("files = [\"/etc/../root\"]", "files"),
        ("files = [\"/etc\", \"/etc/nginx/\"]", "files"),
        ("files = [\"/etc\", \"/etc\"]", "files"),
        ("files = [\"/etc\"]\nexclude = [\"a[\"]", "exclude"),
        ("files = [\"/etc\"]\nexclude = [\"cache/*\"]", "exclude"),
    ] {
        let error = open(&toml::from_str::<SourceOptions>(keys).unwrap()).err().unwrap_or_else(|| panic!("{keys}"));
        assert!(error.key == key && error.help.is_some(), "{keys}: {error}");
    }
}
