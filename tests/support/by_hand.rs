//! A published folder in the hands of somebody who has RECOVERY.txt, the identity and ordinary tools, and no qbackd.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What opens the artifacts.
pub enum Opener<'a> {
    /// Nothing is encrypted.
    Nothing,
    /// An identity file.
    Identity(&'a Path),
    /// A passphrase, typed at a terminal, since age takes it from nowhere else.
    Passphrase(&'a str),
}

/// Runs a line of shell in `folder`; it must succeed, each part of a pipe too. Gives its stdout.
pub fn shell(folder: &Path, line: &str) -> String {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", line])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("cannot run bash: {e}"));
    assert!(output.status.success(), "{line}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The folder of the only backup of `database` below `root`.
pub fn only_backup(root: &Path, database: &str) -> PathBuf {
    let backups: Vec<PathBuf> =
        std::fs::read_dir(root.join(database).join("backup")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [backup] = &backups[..] else { panic!("{} backups of {database} below {}", backups.len(), root.display()) };
    backup.clone()
}

/// `sha256sum -c`, as RECOVERY.txt says; gives back the artifacts it vouches for, which are all there are.
pub fn check_sums(backup: &Path) -> Vec<String> {
    let said = shell(backup, "sha256sum --strict -c SHA256SUMS");
    let mut vouched: Vec<String> = said.lines().map(|line| line.strip_suffix(": OK").unwrap().to_owned()).collect();
    vouched.sort();
    let there = shell(backup, "find . -type f ! -name SHA256SUMS ! -name manifest.json -printf '%f\\n' | sort");
    assert_eq!(vouched, there.lines().collect::<Vec<_>>(), "SHA256SUMS and the folder differ");
    vouched
}

/// The command of RECOVERY.txt for an artifact of this name: the line whose example ends like it.
fn command_for(recovery: &str, artifact: &str) -> String {
    let examples = recovery.lines().filter_map(|line| line.trim().strip_prefix("SOMETHING")).filter_map(|rest| {
        let (ending, command) = rest.split_once(' ')?;
        Some((ending, command.trim()))
    });
    let (ending, command) = examples
        .filter(|(ending, _)| artifact.ends_with(ending))
        .max_by_key(|(ending, _)| ending.len())
        .unwrap_or_else(|| panic!("RECOVERY.txt has no command for {artifact}"));
    let stem = artifact.strip_suffix(ending).unwrap();
    if ending.is_empty() { "true".into() } else { command.replace("SOMETHING", stem) }
}

/// Opens an artifact of `backup` by the very command of RECOVERY.txt at `root`; gives back the file with its content.
pub fn open(root: &Path, backup: &Path, artifact: &str, opener: &Opener<'_>) -> PathBuf {
    let recovery = std::fs::read_to_string(root.join("RECOVERY.txt")).unwrap();
    let command = command_for(&recovery, artifact);
    match opener {
        Opener::Nothing => drop(shell(backup, &command)),
        Opener::Identity(file) => drop(shell(backup, &command.replace("IDENTITY", &format!("'{}'", file.display())))),
        Opener::Passphrase(passphrase) => type_in(backup, &command.replace("-i IDENTITY ", ""), passphrase),
    }
    backup.join(artifact.trim_end_matches(".age").trim_end_matches(".zst"))
}

/// Runs a command at a terminal of its own and types one line.
fn type_in(folder: &Path, command: &str, line: &str) {
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &format!("bash -euo pipefail -c '{command}'"), "/dev/null"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("cannot run script: {e}; tests/run installs it"));
    writeln!(child.stdin.as_mut().unwrap(), "{line}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stdout));
}

/// The lines of RECOVERY.txt for an engine that are commands: those that call `tool`.
pub fn engine_commands(recovery: &str, engine: &str, tool: &str) -> String {
    let (_, section) = recovery.split_once(&format!("\n   {engine}\n")).unwrap();
    let lines = section.lines().take_while(|line| line.starts_with("     ")).map(str::trim);
    let commands: Vec<&str> = lines.filter(|line| line.contains(tool) && line.contains(" -")).collect();
    assert!(!commands.is_empty(), "RECOVERY.txt has no {tool}for {engine}");
    commands.join("\n")
}
