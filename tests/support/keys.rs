//! Recipients and identities of every kind, made by their own tools.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use qbackd::model::Secret;
use qbackd::stage::{EncryptionOptions, Identities, Recipients};
use tempfile::TempDir;

/// Fresh keys in a folder of their own.
pub struct Keys {
    dir: TempDir,
}

impl Keys {
    /// An X25519 identity by `age-keygen` and an ssh key by `ssh-keygen`.
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        run(Command::new("age-keygen").arg("-o").arg(dir.path().join("age.key")));
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.path().join("ssh.key")));
        std::fs::set_permissions(dir.path().join("age.key"), Permissions::from_mode(0o600)).unwrap();
        Self { dir }
    }

    /// The X25519 identity file.
    pub fn identity_file(&self) -> PathBuf {
        self.dir.path().join("age.key")
    }

    /// The X25519 recipient, as text.
    pub fn recipient(&self) -> String {
        let key = std::fs::read_to_string(self.identity_file()).unwrap();
        key.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned()
    }

    pub fn x25519(&self) -> Recipients {
        Recipients::from_options(&EncryptionOptions { recipients: vec![self.recipient()], ..Default::default() })
            .unwrap()
    }

    pub fn x25519_identity(&self) -> Arc<Identities> {
        Arc::new(Identities::read(&[self.identity_file()], Vec::new()).unwrap())
    }

    /// No encryption, X25519, ssh, X25519 and ssh together, passphrase: whom to encrypt to, and what opens it.
    pub fn all(&self) -> Vec<(Option<Recipients>, Arc<Identities>)> {
        let ssh_file = self.dir.path().join("ssh.key");
        let ssh_recipient = std::fs::read_to_string(ssh_file.with_extension("key.pub")).unwrap().trim().to_owned();
        let recipients = |keys: Vec<String>| {
            Some(Recipients::from_options(&EncryptionOptions { recipients: keys, ..Default::default() }).unwrap())
        };
        let ssh = || Arc::new(Identities::read(std::slice::from_ref(&ssh_file), Vec::new()).unwrap());
        let passphrase = Secret::new("correct horse");
        vec![
            (None, Arc::default()),
            (Some(self.x25519()), self.x25519_identity()),
            (recipients(vec![ssh_recipient.clone()]), ssh()),
            (recipients(vec![self.recipient(), ssh_recipient]), ssh()),
            (
                Some(Recipients::Passphrase(passphrase.clone())),
                Arc::new(Identities::read(&[], vec![passphrase]).unwrap()),
            ),
        ]
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}; tests/run installs it"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
