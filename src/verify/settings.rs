//! `jupan.json`: what was fixed when the data directory was made, and the checksum over it. With
//! another number of lanes the log would read as another shop's, so nothing is read with one that
//! cannot be trusted.

use super::{Failure, segments::Corruption, segments::FORMAT};
use serde::Deserialize;
use std::{num::NonZeroU16, path::Path};

/// What the file says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settings {
    format: u32,
    lanes: NonZeroU16,
    created_at: Option<String>,
    /// Absent in directories of the first version, and in a file that was written by hand.
    check: Option<String>,
}

/// The number of lanes of each role, or what is wrong with what the file says.
pub(super) fn lanes(path: &Path) -> Result<Result<u16, Corruption>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Failure::NoShop { path: path.to_owned() },
        _ => Failure::read(path, source),
    })?;
    let settings: Settings = serde_json::from_str(&text)
        .map_err(|source| Failure::Settings { path: path.to_owned(), source })?;
    if settings.format != FORMAT {
        return Err(Failure::Format { path: path.to_owned(), found: settings.format });
    }
    let check = settings.checksum();
    Ok(match settings.check {
        Some(told) if told != check => Err(Corruption {
            segment: None,
            position: None,
            about: "checksum of jupan.json".to_owned(),
            expected: format!("{check}, as what it says comes to"),
            found: told,
        }),
        _ => Ok(settings.lanes.get()),
    })
}

impl Settings {
    fn checksum(&self) -> String {
        let created_at = self.created_at.as_deref().unwrap_or_default();
        let said = format!("{} {} {created_at}", self.format, self.lanes);
        format!("{:08x}", crc32c::crc32c(said.as_bytes()))
    }
}
