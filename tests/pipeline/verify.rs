//! The three levels of proof.

use crate::support::bench::Bench;
use crate::support::fixture::Fixture;

on_every_engine!(a_sound_backup_is_proven_and_a_damaged_one_is_not);

const LEVELS: [&str; 3] = ["checksum", "decode", "restore"];

fn a_sound_backup_is_proven_and_a_damaged_one_is_not<F: Fixture>() {
    let bench = Bench::<F>::new();
    bench.ok(&["backup", "shop"]);
    let id = bench.listed().remove(0);
    // A command alone knows where it would restore to.
    let levels = if bench.fixture.sees_its_target() { &LEVELS[..] } else { &LEVELS[..2] };
    for level in levels {
        let proof = bench.json(&["verify", "shop", "--level", level]);
        assert_eq!(
            (&proof["backup"], &proof["level"], &proof["at"]),
            (&id.clone().into(), &(*level).into(), &"local".into())
        );
        assert!(!proof["checks"].as_array().unwrap().is_empty(), "{proof}");
    }
    if levels.len() < 3 {
        let said = bench.fails(2, &["verify", "shop", "--level", "restore"]);
        assert!(said.contains("QBACKD_RESTORE_TO"), "{said}");
    }
    bench.flip_a_bit(&id);
    for level in levels {
        let said = bench.fails(1, &["verify", &id, "--level", level]);
        assert!(said.contains("is not proven") && said.contains(&id) && said.contains("hint:"), "{level}: {said}");
        assert_eq!(bench.runs("verify")[0]["outcome"], "failed");
    }
    assert_eq!(bench.fixture.fingerprint(), bench.before(), "a proof touches nothing");
    assert_eq!(bench.scratch_left(), Vec::<String>::new());
}
