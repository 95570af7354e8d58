//! `[encryption.NAME]`

use super::Resolver;
use crate::config::decode::decode;
use crate::config::diagnostic::Diagnostic;
use crate::config::document::Section;
use crate::config::plan::Encryption;
use crate::model::Name;
use crate::stage::EncryptionOptions;
use crate::stage::keys::check_recipient;

impl Resolver<'_, '_> {
    pub(super) fn encryption(&mut self, name: &Name, section: &Section<'_>) -> Option<Encryption> {
        self.note_all("encryption", section);
        let options: EncryptionOptions = decode(section.table.clone(), section.head, &section.title, self.found);
        for (i, recipient) in options.recipients.iter().enumerate() {
            if let Err(why) = check_recipient(recipient) {
                self.error("this is no age recipient", section.element("recipients", i), why, "");
            }
        }
        if let Some(path) = &options.recipients_file {
            self.file("recipients_file", path, section.value("recipients_file"));
        }
        for (i, path) in options.identity_files.iter().enumerate() {
            self.file("identity_files", path, section.element("identity_files", i));
        }
        if let Some(secret) = &options.passphrase {
            self.secret("passphrase", secret, section.value("passphrase"));
        }
        self.recipients_or_passphrase(section);
        Some(Encryption { name: name.clone(), options })
    }

    fn recipients_or_passphrase(&mut self, section: &Section<'_>) {
        let recipients = ["recipients", "recipients_file"].into_iter().find(|key| section.has(key));
        match (recipients, section.has("passphrase")) {
            (Some(key), true) => self.found.push(
                Diagnostic::error(format!("`passphrase` and `{key}` exclude each other"))
                    .at(section.key("passphrase"), "a passphrase")
                    .at(section.key(key), "and recipients")
                    .help("age encrypts to recipients or to a passphrase; make two encryptions if you need both"),
            ),
            (None, false) => self.error(
                format!("{} encrypts to nobody", section.title),
                section.head,
                "neither `recipients`, `recipients_file` nor `passphrase`",
                "make a key with `qbackd keygen` and write its recipient here: `recipients = [\"age1…\"]`",
            ),
            (Some("recipients"), false) if section.is_empty_list("recipients") && !section.has("recipients_file") => {
                self.error(
                    format!("{} encrypts to nobody", section.title),
                    section.value("recipients"),
                    "no recipient",
                    "make a key with `qbackd keygen` and write its recipient here",
                )
            }
            _ => {}
        }
    }
}
