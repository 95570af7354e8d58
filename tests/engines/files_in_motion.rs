//! Trees that change while they are archived: the archive stays valid, and whoever reads the manifest is told.

use std::sync::Mutex;

use async_trait::async_trait;
use qbackd::engine::DumpRequest;
use qbackd::error::Result;
use qbackd::model::{ArtifactSink, ArtifactSpec, BackupType, Inlet, Outlet, pipe};

use crate::support::tree::{LARGE, World, tar};

/// A sink whose reader decides when to go on.
#[derive(Default)]
struct Gate(Mutex<Option<Inlet>>);

#[async_trait]
impl ArtifactSink for Gate {
    async fn open(&self, _spec: ArtifactSpec) -> Result<Outlet> {
        let (outlet, inlet) = pipe();
        *self.0.lock().unwrap() = Some(inlet);
        Ok(outlet)
    }
}

/// Dumps a tree, does something when its first block came (the rest does not fit into the queue), and reads on.
async fn dump_while(world: &World, meddle: impl FnOnce(&[u8])) -> (Vec<u8>, Vec<String>) {
    let engine = world.engine("");
    let found = engine.inspect(&world.run).await.unwrap();
    let gate = Gate::default();
    let request = DumpRequest { kind: BackupType::Full, parent: None };
    let dumping = engine.dump(&found, &request, &gate, &world.run);
    let reading = async {
        let mut inlet = loop {
            let taken = gate.0.lock().unwrap().take();
            if let Some(inlet) = taken {
                break inlet;
            }
            tokio::task::yield_now().await;
        };
        let mut archive = Vec::new();
        while archive.len() < 4096 {
            archive.extend_from_slice(&inlet.next_async().await.unwrap().unwrap());
        }
        meddle(&archive);
        while let Ok(Some(block)) = inlet.next_async().await {
            archive.extend_from_slice(&block);
        }
        archive
    };
    let (dump, archive) = tokio::join!(dumping, reading);
    let qbackd::engine::Dumped::Done(dump) = dump.unwrap() else { panic!("a full dump was refused") };
    (archive, dump.notes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_shrinks_while_it_is_read_is_padded_and_noted() {
    let world = World::new();
    let file = world.file("large", &vec![7; LARGE]);
    let shrink = |_: &[u8]| std::fs::File::options().write(true).open(&file).unwrap().set_len(6 << 20).unwrap();
    let (archive, notes) = dump_while(&world, shrink).await;
    assert!(notes.len() == 1 && notes[0].contains("shrank"), "{notes:?}");
    let out = world.out("out");
    std::fs::create_dir(&out).unwrap();
    tar(&["-xf", "-", "-C", out.to_str().unwrap()], &archive);
    let got = std::fs::read(world.below(&out).join("large")).unwrap();
    assert_eq!(got.len(), LARGE);
    assert!(got[..6 << 20].iter().all(|&b| b == 7) && got[6 << 20..].iter().all(|&b| b == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_grows_or_changes_while_it_is_read_is_noted() {
    for grow in [true, false] {
        let world = World::new();
        let file = world.file("large", &vec![7; LARGE]);
        let (archive, notes) = dump_while(&world, |_| {
            let open = std::fs::File::options().write(true).open(&file).unwrap();
            let at = if grow { LARGE as u64 } else { 5 };
            std::os::unix::fs::FileExt::write_all_at(&open, b"more", at).unwrap();
        })
        .await;
        let word = if grow { "grew" } else { "changed" };
        assert!(notes.len() == 1 && notes[0].contains(word), "{notes:?}");
        let listing = tar(&["-tvf", "-"], &archive);
        assert!(listing.contains(&LARGE.to_string()), "{listing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_vanish_before_they_are_read_are_noted_and_the_rest_goes_on() {
    let world = World::new();
    let names: Vec<String> = (0..30).map(|n| format!("file-{n:02}")).collect();
    for name in &names {
        world.file(name, &vec![7; LARGE / 4]);
    }
    let (archive, notes) = dump_while(&world, |head| {
        let head = String::from_utf8_lossy(head).into_owned();
        for name in names.iter().filter(|name| !head.contains(name.as_str())) {
            std::fs::remove_file(world.tree.join(name)).unwrap();
        }
    })
    .await;
    let kept = tar(&["-tf", "-"], &archive).lines().filter(|line| line.contains("file-")).count();
    assert!((1..=3).contains(&kept), "{kept} files were kept");
    assert_eq!(notes.len(), 21, "{notes:?}");
    assert!(notes[0].contains("vanished"), "{notes:?}");
    assert_eq!(notes[20], format!("and {} more like these", 30 - kept - 20));
}
