//! `[daemon]` and `[signing]`.

use super::Resolver;
use crate::config::decode::decode;
use crate::config::options::{DaemonOptions, SigningOptions};
use crate::config::plan::Daemon;
use crate::schedule::check_zone;

/// A socket's path must fit into `sun_path` with its final zero (unix(7)), in bytes.
const SOCKET_PATH_MAX: usize = 107;

impl Resolver<'_, '_> {
    pub(super) fn daemon(&mut self) -> Daemon {
        let document = self.document;
        let Some(section) = document.alone("daemon") else { return Daemon::default() };
        self.note_all("daemon", section);
        let options: DaemonOptions = decode(section.table.clone(), section.head, &section.title, self.found);
        if let Some(dir) = &options.state_dir {
            self.absolute("state_dir", dir, section.value("state_dir"));
        }
        let socket = section.value("control_socket");
        if self.absolute("control_socket", &options.control_socket, socket)
            && options.control_socket.as_os_str().len() > SOCKET_PATH_MAX
        {
            self.error(
                "`control_socket` is too long",
                socket,
                format!("the path of a socket has at most {SOCKET_PATH_MAX} bytes"),
                "",
            );
        }
        self.within("max_parallel", options.max_parallel.into(), 1..=1000, section.value("max_parallel"));
        self.positive("history_keep", Some(options.history_keep), section.value("history_keep"));
        if let Some(zone) = &options.timezone
            && let Err(why) = check_zone(zone)
        {
            let (what, remedy) = why.split_once(": ").unwrap_or((&why, ""));
            self.error("wrong value for `timezone`", section.value("timezone"), what, remedy);
        }
        options.into()
    }

    pub(super) fn signing(&mut self) -> Option<SigningOptions> {
        let document = self.document;
        let section = document.alone("signing")?;
        self.note_all("signing", section);
        let options: SigningOptions = decode(section.table.clone(), section.head, &section.title, self.found);
        if let Some(path) = &options.key_file {
            self.file("key_file", path, section.value("key_file"));
        }
        for (i, key) in options.trusted.iter().enumerate() {
            self.said("trusted", key, section.element("trusted", i));
        }
        if !section.has("key_file") && !section.has("trusted") {
            self.error("[signing] says nothing", section.head, "neither `key_file` nor `trusted`", "");
        }
        Some(options)
    }
}
