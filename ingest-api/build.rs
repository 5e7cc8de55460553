//! Takes what `/docs` serves out of the archive of Swagger UI's release, so that the binary has it.
//! Nothing is downloaded: the archive is a crate of the registry, and cargo checks its sum.

use flate2::{Crc, read::DeflateDecoder};
use std::{env, fs, io::Read, path::PathBuf};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;

/// Paths below the archive's only folder, and the names that they get.
const FILES: [(&str, &str); 5] = [
    ("dist/swagger-ui-bundle.js", "swagger-ui-bundle.js"),
    ("dist/swagger-ui.css", "swagger-ui.css"),
    ("dist/favicon-32x32.png", "favicon-32x32.png"),
    ("LICENSE", "LICENSE.txt"),
    ("NOTICE", "NOTICE.txt"),
];

const STORED: usize = 0;
const DEFLATED: usize = 8;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    for (path, name) in FILES {
        let bytes = file(SWAGGER_UI_VENDORED, path).expect("the release has this file");
        fs::write(folder.join(name), bytes).expect("the build's folder can be written");
    }
}

/// A file of a zip archive. The archive's end names its directory, which names all files.
fn file(archive: &[u8], path: &str) -> Option<Vec<u8>> {
    const END: &[u8] = b"PK\x05\x06";
    let end = archive.windows(END.len()).rposition(|bytes| bytes == END)?;
    let mut entry = archive.get(number(archive, end + 16, 4)?..)?;
    loop {
        if !entry.starts_with(b"PK\x01\x02") {
            return None;
        }
        let name_length = number(entry, 28, 2)?;
        let name = entry.get(46..46 + name_length)?;
        let (_, below) = str::from_utf8(name).ok()?.split_once('/')?;
        if below == path {
            return content(archive, entry);
        }
        let length = 46 + name_length + number(entry, 30, 2)? + number(entry, 32, 2)?;
        entry = entry.get(length..)?;
    }
}

/// What an entry of the directory stands for, checked against its sum.
fn content(archive: &[u8], entry: &[u8]) -> Option<Vec<u8>> {
    let local = archive.get(number(entry, 42, 4)?..)?;
    let start = 30 + number(local, 26, 2)? + number(local, 28, 2)?;
    let packed = local.get(start..start + number(entry, 20, 4)?)?;
    let mut bytes = Vec::new();
    match number(entry, 10, 2)? {
        STORED => bytes.extend_from_slice(packed),
        DEFLATED => {
            DeflateDecoder::new(packed).read_to_end(&mut bytes).ok()?;
        }
        _ => return None,
    }
    let mut sum = Crc::new();
    sum.update(&bytes);
    (usize::try_from(sum.sum()).ok() == number(entry, 16, 4)).then_some(bytes)
}

/// A little-endian number of so many bytes.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<usize> {
    let digits = bytes.get(at..at + length)?.iter().rev();
    Some(digits.fold(0, |number, byte| number << 8 | usize::from(*byte)))
}
