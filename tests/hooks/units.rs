//! `stop_units`, with a stand-in for `systemctl` that can be made to fail; with real units it is tried in the suite that boots systemd.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{LIMIT, lines};
use crate::order::trace::Act;
use crate::order::traced_command;
use crate::support::bench::{Bench, names};
use crate::support::fixture::CommandFixture;

/// `units/NAME` holds the state of a unit; a file `no/VERB-NAME` makes a verb fail on it.
const SYSTEMCTL: &str = r#"#!/bin/sh
cd "$(dirname "$0")/.." || exit 9
verb=$1; shift
while [ "$1" != -- ]; do shift; done; shift
echo "$verb $*" >> calls
code=0
for unit; do
    case $verb in
    show)
        state=not-found; [ -e "units/$unit" ] && state=loaded
        printf 'Id=%s\nActiveState=%s\nLoadState=%s\n\n' "$unit" "$(cat "units/$unit" 2>/dev/null || echo inactive)" $state ;;
    *)
        if [ -e "no/$verb-$unit" ]; then echo "Job for $unit failed." >&2; code=1
        elif [ $verb = stop ]; then echo inactive > "units/$unit"
        else echo active > "units/$unit"; fi ;;
    esac
done
exit $code
"#;

const KEYS: &str = "stop_units = [\"app.service\", \"web.service\", \"idle.service\"]\n";
/// Writes down what holds while it dumps.
const DUMP: &str = "head -n1 $HERE/units/* > $HERE/during; cat $HERE/state/stopped/shop > $HERE/record; echo data";

struct Units(Bench<CommandFixture>);

impl Units {
    /// Two units that run and one that does not, and this as the dump.
    fn new(dump: &str) -> Self {
        let bench = Bench::<CommandFixture>::with_keys(&format!("dump = ['sh', '-c', '{dump}']\n{KEYS}"));
        for folder in ["bin", "units", "no"] {
            std::fs::create_dir(bench.path(folder)).unwrap();
        }
        std::fs::write(bench.path("bin/systemctl"), SYSTEMCTL).unwrap();
        std::fs::set_permissions(bench.path("bin/systemctl"), std::fs::Permissions::from_mode(0o755)).unwrap();
        for (unit, state) in [("app", "active"), ("web", "active"), ("idle", "inactive")] {
            std::fs::write(bench.path(format!("units/{unit}.service")), format!("{state}\n")).unwrap();
        }
        Self(bench)
    }

    fn command(&self) -> Command {
        let mut command = self.0.command(&["backup", "shop"]);
        command.env("PATH", format!("{}:{}", self.0.path("bin").display(), std::env::var("PATH").unwrap()));
        command
    }

    fn back_up(&self) -> Output {
        self.command().output().unwrap()
    }

    fn state(&self, unit: &str) -> String {
        std::fs::read_to_string(self.0.path(format!("units/{unit}.service"))).unwrap().trim().to_owned()
    }

    /// Everything is as it was before the run, and nothing says otherwise.
    fn all_is_as_before(&self) {
        assert_eq!([self.state("app"), self.state("web"), self.state("idle")], ["active", "active", "inactive"]);
        assert_eq!(names(&self.0.path("state/stopped")), Vec::<String>::new());
    }

    fn calls(&self) -> String {
        let calls = std::fs::read_to_string(self.0.path("calls")).unwrap();
        calls.lines().filter(|line| !line.starts_with("show")).map(|line| format!("{line}\n")).collect()
    }

    fn refuse(&self, what: &str) {
        std::fs::write(self.0.path("no").join(what), "").unwrap();
    }

    fn allow(&self, what: &str) {
        std::fs::remove_file(self.0.path("no").join(what)).unwrap();
    }
}

#[test]
fn units_are_stopped_for_the_dump_and_run_again_after_it() {
    let units = Units::new(DUMP);
    let run = units.back_up();
    assert!(run.status.success(), "{run:?}");
    let during = std::fs::read_to_string(units.0.path("during")).unwrap();
    assert_eq!(during.matches("inactive").count(), 3, "{during}");
    let record = std::fs::read_to_string(units.0.path("record")).unwrap();
    assert!(record.contains("app.service") && record.contains("web.service") && !record.contains("idle"), "{record}");
    assert_eq!(units.calls(), "stop app.service web.service\nstart app.service web.service\n");
    units.all_is_as_before();
    let lines = lines(&units.0);
    assert_eq!(lines[0].1, "stopped app.service, web.service");
    assert_eq!(lines[1].1, "started app.service, web.service again");
}

#[test]
fn units_run_again_after_a_failure() {
    let units = Units::new(&format!("{DUMP}; exit 3"));
    assert_eq!(units.back_up().status.code(), Some(1));
    assert!(units.0.path("during").exists());
    units.all_is_as_before();
}

#[test]
fn units_run_again_after_a_cancel() {
    let units = Units::new("touch $HERE/reached; sleep 600");
    let mut run = units.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    units.0.wait_for("reached", LIMIT);
    assert_eq!(units.state("app"), "inactive");
    kill_process(Pid::from_child(&run), Signal::TERM).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(143));
    assert_eq!(units.0.outcomes(), ["interrupted"]);
    units.all_is_as_before();
}

#[test]
fn what_a_killed_run_left_stopped_is_started_by_the_next_one() {
    let units = Units::new(DUMP);
    for step in ["written", "published"] {
        units.command().env("QBACKD_DIE_AT", step).output().unwrap();
        assert_eq!(units.state("app"), "inactive", "it died at {step} while they were stopped");
        assert_eq!(names(&units.0.path("state/stopped")), ["shop"]);
        std::fs::remove_file(units.0.path("calls")).unwrap();
        // A run that is refused at once starts them too: what the dead run left comes first.
        units.0.edit("[policy.plain]\n", "[policy.plain]\nhooks.before_backup = \"exit 1\"\n");
        let run = units.back_up();
        assert_eq!(units.0.outcomes()[0], "vetoed", "{run:?}");
        assert_eq!(units.calls(), "start app.service web.service\n");
        units.all_is_as_before();
        units.0.edit("hooks.before_backup = \"exit 1\"\n", "");
    }
    let dead = &units.0.runs("backup")[3];
    assert_eq!(dead["outcome"], "interrupted");
    let run = units.0.json(&["history", dead["id"].as_str().unwrap()]);
    assert!(run["lines"].to_string().contains("started app.service, web.service again"), "{run}");
}

#[test]
fn a_unit_that_cannot_be_stopped_fails_the_run_before_the_dump() {
    let units = Units::new(DUMP);
    units.refuse("stop-web.service");
    let run = units.back_up();
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert!(
        said.contains("cannot stop app.service, web.service: exit status 1: Job for web.service failed."),
        "{said}"
    );
    assert!(said.contains("polkit") && !units.0.path("during").exists(), "{said}");
    assert_eq!(units.0.outcomes(), ["failed"]);
    units.all_is_as_before();
}

#[test]
fn a_unit_that_is_not_there_fails_the_run_before_anything_is_stopped() {
    let units = Units::new(DUMP);
    units.0.edit("\"web.service\"", "\"wbe.service\"");
    let run = units.back_up();
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(78), "{said}");
    assert!(said.contains("there is no unit wbe.service to stop") && said.contains("list-units"), "{said}");
    assert_eq!(units.calls(), "");
    units.all_is_as_before();
}

#[test]
fn a_unit_that_cannot_be_started_again_is_told_of_and_tried_again() {
    let units = Units::new(DUMP);
    units.refuse("start-web.service");
    let run = units.back_up();
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.success() && units.0.outcomes() == ["succeeded"], "{said}");
    assert!(said.contains("cannot start again") && said.contains("web.service"), "{said}");
    let lines = lines(&units.0);
    assert!(
        lines.iter().any(|(level, text)| level == "error" && text.contains("systemctl start web.service")),
        "{lines:?}"
    );
    let notes = units.0.runs("backup")[0]["notes"].to_string();
    assert!(notes.contains("cannot start again") && !notes.contains(": app.service"), "{notes}");
    assert_eq!((units.state("app"), units.state("web")), ("active".into(), "inactive".into()));
    let record = std::fs::read_to_string(units.0.path("state/stopped/shop")).unwrap();
    assert!(record.contains("web.service") && !record.contains("app.service"), "{record}");

    // A run in which it still cannot be started does not forget it.
    assert!(units.back_up().status.success());
    assert!(std::fs::read_to_string(units.0.path("state/stopped/shop")).unwrap().contains("web.service"));
    units.allow("start-web.service");
    assert!(units.back_up().status.success());
    units.all_is_as_before();
}

#[test]
fn a_damaged_record_is_told_of_and_stops_nothing_blindly() {
    let units = Units::new(DUMP);
    std::fs::create_dir(units.0.path("state/stopped")).unwrap();
    std::fs::write(units.0.path("state/stopped/shop"), "{\"units\":[\"app").unwrap();
    let run = units.back_up();
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(1), "{said}");
    assert!(
        said.contains("cannot tell which units are stopped for shop") && said.contains("remove that file"),
        "{said}"
    );
    assert_eq!((units.state("app"), units.calls()), ("active".into(), String::new()));
}

#[test]
fn what_is_to_be_stopped_is_on_the_disk_before_it_is_stopped() {
    let units = Units::new(DUMP);
    let trace = traced_command(&units.0, &units.command());
    let (folder, unit) = (units.0.path("state/stopped"), units.0.path("units/app.service"));
    let beside = folder.join(".shop.new");
    // Names are changed relative to the folder, which is open.
    let (new, record) = (std::path::PathBuf::from(".shop.new"), std::path::PathBuf::from("shop"));
    let steps = [
        ("the record is written", Act::Write(beside.clone())),
        ("and synced", Act::Sync(beside)),
        ("and gets its name", Act::Rename(new, record.clone())),
        ("which is synced", Act::Sync(folder)),
        ("the unit is stopped", Act::Write(unit.clone())),
        ("the unit is started", Act::Write(unit.clone())),
        ("the record goes", Act::Unlink(record)),
    ];
    let mut from = 0;
    for (what, act) in steps {
        let found = trace.first(from, |one| *one == act);
        from = 1 + found.unwrap_or_else(|| panic!("{what}: not after what comes before it\n{:#?}", trace.acts));
    }
    let stops = trace.acts.iter().filter(|act| **act == Act::Write(unit.clone())).count();
    assert_eq!(stops, 2, "once stopped, once started");
}
