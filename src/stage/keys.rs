//! Recipients and identities: who can open a backup, and what opens it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use age::secrecy::SecretString;
use age::{Callbacks, Encryptor, IdentityFile};
use age_core::format::{FileKey, Stanza};
use zeroize::Zeroizing;

use super::EncryptionOptions;
use crate::error::{Error, Explain, Kind, Result};
use crate::model::Secret;
use crate::model::secret::read_private;

/// Whom backups are encrypted to.
#[derive(Debug, Clone)]
pub enum Recipients {
    /// age recipients as text, checked.
    Keys(Vec<String>),
    /// A passphrase (scrypt).
    Passphrase(Secret),
}

impl Recipients {
    /// Gathers the recipients of an `[encryption.NAME]`, fetching what it refers to.
    ///
    /// # Errors
    /// The file or the passphrase is not there, a line is no recipient, or there is none at all.
    pub fn from_options(options: &EncryptionOptions) -> Result<Self> {
        if let Some(passphrase) = &options.passphrase {
            return Ok(Self::Passphrase(passphrase.resolve()?));
        }
        let mut keys = options.recipients.clone();
        if let Some(path) = &options.recipients_file {
            let text = std::fs::read_to_string(path)
                .explain(|| format!("cannot read the recipients file {}", path.display()))?;
            for (number, line) in text.lines().map(str::trim).enumerate() {
                if !line.is_empty() && !line.starts_with('#') {
                    check_recipient(line).map_err(|why| {
                        Error::new(
                            Kind::Configuration,
                            format!("line {} of {} is no age recipient", number + 1, path.display()),
                        )
                        .because(why)
                    })?;
                    keys.push(line.to_owned());
                }
            }
        }
        if keys.is_empty() {
            return Err(Error::new(Kind::Configuration, "there is no recipient to encrypt to")
                .hint("`qbackd keygen` makes one"));
        }
        let recipients = Self::Keys(keys);
        recipients.encryptor().map(drop)?;
        Ok(recipients)
    }

    /// The recipients as a manifest lists them.
    pub fn listed(&self) -> Vec<String> {
        match self {
            Self::Keys(keys) => keys.clone(),
            Self::Passphrase(_) => vec!["passphrase".into()],
        }
    }

    pub(super) fn encryptor(&self) -> Result<Encryptor> {
        match self {
            Self::Passphrase(secret) => {
                Ok(Encryptor::with_user_passphrase(SecretString::from(secret.expose().to_owned())))
            }
            Self::Keys(keys) => {
                let recipients = parse(keys)
                    .map_err(|why| Error::new(Kind::Configuration, "cannot use the recipients").because(why))?;
                Encryptor::with_recipients(recipients.iter().map(|r| &**r as &dyn age::Recipient)).map_err(|e| {
                    Error::new(Kind::Configuration, "cannot encrypt to these recipients").because(e.to_string())
                })
            }
        }
    }
}

/// Whether a text is an age recipient: X25519, ssh, or a plugin's (which need not be installed).
///
/// # Errors
/// Why not.
pub fn check_recipient(text: &str) -> Result<(), String> {
    recipient(text).map(drop)
}

enum Parsed {
    Key(Box<dyn age::Recipient + Send>),
    Plugin(age::plugin::Recipient),
}

fn recipient(text: &str) -> Result<Parsed, String> {
    if let Ok(key) = text.parse::<age::x25519::Recipient>() {
        return Ok(Parsed::Key(Box::new(key)));
    }
    if text.starts_with("ssh-") || text.starts_with("ecdsa-") {
        use age::ssh::ParseRecipientKeyError as Bad;
        return match text.parse::<age::ssh::Recipient>() {
            Ok(key) => Ok(Parsed::Key(Box::new(key))),
            Err(Bad::RsaModulusTooSmall) => Err("its RSA modulus is smaller than 2048 bits".into()),
            Err(Bad::RsaModulusTooLarge) => Err("its RSA modulus is larger than 4096 bits".into()),
            Err(_) => Err("age encrypts to ssh-ed25519 and ssh-rsa keys only".into()),
        };
    }
    if text.starts_with("AGE-SECRET-KEY-") || text.starts_with("AGE-PLUGIN-") {
        return Err("it is an identity, which must stay secret; a recipient begins with `age1`".into());
    }
    match text.parse::<age::plugin::Recipient>() {
        Ok(plugin) => Ok(Parsed::Plugin(plugin)),
        Err(_) => {
            Err("a recipient begins with `age1` or `ssh-` and has a checksum; this one is misspelt or cut short".into())
        }
    }
}

fn parse(keys: &[String]) -> Result<Vec<Box<dyn age::Recipient + Send>>, String> {
    let mut recipients = Vec::new();
    let mut plugins = Vec::new();
    for key in keys {
        match recipient(key)? {
            Parsed::Key(key) => recipients.push(key),
            Parsed::Plugin(plugin) => plugins.push(plugin),
        }
    }
    let names: BTreeSet<String> = plugins.iter().map(|p| p.plugin().to_owned()).collect();
    for name in names {
        let plugin = age::plugin::RecipientPluginV1::new(&name, &plugins, &[], Answers { passphrase: None })
            .map_err(|_| format!("age-plugin-{name} is not in PATH"))?;
        recipients.push(Box::new(plugin));
    }
    Ok(recipients)
}

/// What opens backups: identity files as read, and perhaps passphrases (of a backup; the first also of an encrypted identity).
#[derive(Default)]
pub struct Identities {
    files: Vec<(PathBuf, Zeroizing<String>)>,
    passphrases: Vec<Secret>,
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.files.iter().map(|(path, _)| path)).finish()
    }
}

impl Identities {
    /// Reads identity files: age's own, passphrase-protected ones, ssh private keys.
    ///
    /// # Errors
    /// A file cannot be read or is open to everybody.
    pub fn read(paths: &[PathBuf], passphrases: Vec<Secret>) -> Result<Self> {
        let read = |path: &PathBuf| Ok((path.clone(), read_private(path)?));
        Ok(Self { files: paths.iter().map(read).collect::<Result<_>>()?, passphrases })
    }

    /// Whether there is nothing to open anything with.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.passphrases.is_empty()
    }

    pub(super) fn load(&self) -> Result<Vec<Box<dyn age::Identity>>> {
        let mut identities: Vec<Box<dyn age::Identity>> = Vec::new();
        for (path, text) in &self.files {
            self.load_file(path, text, &mut identities)?;
        }
        let identity =
            |passphrase: &Secret| age::scrypt::Identity::new(SecretString::from(passphrase.expose().to_owned()));
        identities.push(Box::new(AnyOf(self.passphrases.iter().map(identity).collect())));
        Ok(identities)
    }

    fn load_file(&self, path: &Path, text: &str, into: &mut Vec<Box<dyn age::Identity>>) -> Result<()> {
        let shown = path.display().to_string();
        let no_identity = |why: String| Error::new(Kind::Usage, format!("{shown} is no identity file")).because(why);
        let answers = Answers { passphrase: self.passphrases.first().cloned() };
        let head = text.trim_start();
        if head.starts_with("-----BEGIN AGE ENCRYPTED FILE-----") {
            let armored = age::armor::ArmoredReader::new(std::io::Cursor::new(head.as_bytes().to_vec()));
            let identity = age::encrypted::Identity::from_buffer(armored, Some(shown.clone()), answers, None)
                .map_err(|e| no_identity(e.to_string()))?
                .ok_or_else(|| no_identity("it is encrypted, but not with a passphrase".into()))?;
            into.push(Box::new(identity));
        } else if head.starts_with("-----BEGIN") {
            let identity = age::ssh::Identity::from_buffer(head.as_bytes(), Some(shown.clone()))
                .map_err(|e| no_identity(e.to_string()))?;
            if let age::ssh::Identity::Unsupported(_) = identity {
                return Err(no_identity("age cannot use this kind of ssh key".into()));
            }
            into.push(Box::new(identity.with_callbacks(answers)));
        } else {
            let file = IdentityFile::from_buffer(text.as_bytes())
                .map_err(|e| no_identity(e.to_string()))?
                .with_callbacks(answers);
            let found = file.into_identities().map_err(|e| no_identity(e.to_string()))?;
            if found.is_empty() {
                return Err(no_identity("there is no key in it".into()));
            }
            into.extend(found.into_iter().map(|identity| identity as Box<dyn age::Identity>));
        }
        Ok(())
    }
}

/// Several passphrases. To age one that is wrong is an error that ends the search.
struct AnyOf(Vec<age::scrypt::Identity>);

impl age::Identity for AnyOf {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<std::result::Result<FileKey, age::DecryptError>> {
        let mut wrong = None;
        for identity in &self.0 {
            match identity.unwrap_stanza(stanza) {
                Some(Err(e)) => wrong = Some(Err(e)),
                Some(Ok(key)) => return Some(Ok(key)),
                None => {}
            }
        }
        wrong
    }
}

/// What age and its plugins may ask: only for the passphrase that was given; nobody sits at a daemon's keyboard.
#[derive(Clone)]
struct Answers {
    passphrase: Option<Secret>,
}

impl Callbacks for Answers {
    fn display_message(&self, message: &str) {
        tracing::info!("age plugin: {message}");
    }

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn request_public_string(&self, _: &str) -> Option<String> {
        None
    }

    fn request_passphrase(&self, _: &str) -> Option<SecretString> {
        self.passphrase.as_ref().map(|p| SecretString::from(p.expose().to_owned()))
    }
}
