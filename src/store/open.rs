//! Opening a destination: the only place that names OpenDAL's services. A new one is one arm of [`open`].

use std::path::{Path, PathBuf};

use opendal::{Operator, services};

use super::local::{Local, Space};
use super::options::{Access, DestinationOptions, OptionValue};
use super::{Store, layers};
use crate::error::{Error, Kind, Result};

/// The services this build can open.
pub const SERVICES: &[&str] = &["fs", "memory"];

/// Opens the destination that messages call `label`.
///
/// # Errors
/// The service is not built or its options are wrong; a folder is absent, not mounted, or may not be used.
pub fn open(label: &str, options: &DestinationOptions, access: Access) -> Result<Store> {
    let (operator, local) = match options.service.as_str() {
        "fs" => {
            let root = PathBuf::from(text(label, options, "root")?);
            let local = Local::open(label, &root, access, options.require_mount)?;
            (
                Operator::new(services::Fs::default().root(&root.to_string_lossy())).map_err(|e| wrong(label, e))?,
                Some(local),
            )
        }
        "memory" => {
            let memory = Operator::new(services::Memory::default()).map_err(|e| wrong(label, e))?;
            (layers::remote(memory, options), None)
        }
        other => {
            return Err(Error::new(Kind::Unavailable, format!("cannot open {label}"))
                .because(format!("the service `{other}` is not built"))
                .hint(format!("this build has {}", SERVICES.join(", "))));
        }
    };
    Ok(Store { label: label.to_owned(), operator, local, min_free: options.min_free })
}

/// Free and total space of a destination, where it is a file system. Nothing is opened where it is none.
///
/// # Errors
/// As [`open`]; the file system does not answer.
pub fn space(label: &str, options: &DestinationOptions) -> Result<Option<Space>> {
    match options.service.as_str() {
        "fs" => open(label, options, Access::Read)?.space(),
        _ => Ok(None),
    }
}

/// Opens a folder that was named on the command line, for reading.
///
/// # Errors
/// As [`open`].
pub fn open_folder(root: &Path) -> Result<Store> {
    let root =
        std::path::absolute(root).map_err(|e| crate::error::from_io(format!("cannot find {}", root.display()), e))?;
    let shown = root.display().to_string();
    let options = DestinationOptions {
        service: "fs".into(),
        service_options: [("root".to_owned(), OptionValue::Text(shown.clone()))].into(),
        ..DestinationOptions::default()
    };
    open(&shown, &options, Access::Read)
}

fn text(label: &str, options: &DestinationOptions, key: &str) -> Result<String> {
    match options.service_options.get(key) {
        Some(OptionValue::Text(text)) => Ok(text.clone()),
        Some(OptionValue::Secret(reference)) => Ok(reference.resolve()?.expose().to_owned()),
        None => Err(Error::new(Kind::Configuration, format!("{label} has no `{key}`"))),
    }
}

fn wrong(label: &str, error: opendal::Error) -> Error {
    Error::new(Kind::Configuration, format!("cannot open {label}")).because(error.message().to_owned())
}
