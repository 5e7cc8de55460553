//! A data directory in the making: the format that verify reads, with one frame for what belongs
//! together.

use super::super::{
    Failure,
    frames::{FRAME_HEADER_BYTES, checksum, wide},
    records::KIND_RECORDS,
    segments::{FORMAT, HEADER_BYTES, MAGIC},
};
use jupan_log::LogRecord;
use jupan_schemas::TopicId;
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// Number of the only segment.
const SEGMENT: u64 = 1;
/// A frame of inputs is closed when it has so many bytes.
const FRAME_BYTES: usize = 256 << 10;

/// See the module.
pub(super) struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    frames: u64,
    end: u64,
    payload: Vec<u8>,
}

impl Writer {
    /// Makes a directory's files.
    pub(super) fn create(dir: &Path, lanes: u16) -> Result<Self, Failure> {
        let path = dir.join("log").join(format!("{:020}.seg", 0));
        let file = Self::make_files(dir, &path, lanes);
        let file = file.map_err(|source| Failure::read(&path, source))?;
        Ok(Self { path, file, frames: 0, end: 0, payload: vec![KIND_RECORDS] })
    }

    fn make_files(dir: &Path, path: &Path, lanes: u16) -> io::Result<BufWriter<File>> {
        std::fs::create_dir_all(dir.join("log"))?;
        std::fs::write(dir.join("LOCK"), "")?;
        let facts = format!(r#"{{"format":{FORMAT},"lanes":{lanes},"createdAt":"0"}}"#);
        std::fs::write(dir.join("jupan.json"), facts)?;
        let mut file = BufWriter::new(File::create(path)?);
        let mut header = MAGIC.to_vec();
        header.extend(FORMAT.to_le_bytes());
        header.extend(0_u32.to_le_bytes());
        header.extend(SEGMENT.to_le_bytes());
        header.resize(HEADER_BYTES - 4, 0);
        header.extend(crc32c::crc32c(&header).to_le_bytes());
        file.write_all(&header)?;
        Ok(file)
    }

    /// Adds a record to the frame at hand.
    pub(super) fn add(&mut self, topic: TopicId, partition: u16, record: &LogRecord) {
        let out = &mut self.payload;
        let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
        let short = |count: usize| u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes();
        out.push(topic as u8);
        out.extend(partition.to_le_bytes());
        out.extend(record.offset.to_le_bytes());
        out.extend(record.at.0.to_le_bytes());
        out.extend(length(record.key.len()));
        out.extend(length(record.value.len()));
        out.extend(short(record.headers.len()));
        out.extend_from_slice(&record.key);
        out.extend_from_slice(&record.value);
        for (name, value) in &record.headers {
            out.extend(short(name.len()));
            out.extend(length(value.len()));
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(value);
        }
    }

    /// Adds a record that belongs to no commit: the frame ends where it is large enough.
    pub(super) fn add_alone(
        &mut self,
        topic: TopicId,
        partition: u16,
        record: &LogRecord,
    ) -> Result<(), Failure> {
        self.add(topic, partition, record);
        if self.payload.len() >= FRAME_BYTES { self.end_frame() } else { Ok(()) }
    }

    /// What was added since the last time belongs together.
    pub(super) fn end_frame(&mut self) -> Result<(), Failure> {
        if self.payload.len() == 1 {
            return Ok(());
        }
        self.frames += 1;
        let mut header = [0; FRAME_HEADER_BYTES];
        let length = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        header[..4].copy_from_slice(&length.to_le_bytes());
        header[8..16].copy_from_slice(&self.frames.to_le_bytes());
        let crc = checksum(SEGMENT, self.end, &header, &self.payload);
        header[4..8].copy_from_slice(&crc.to_le_bytes());
        self.write(&header)?;
        self.end += wide(FRAME_HEADER_BYTES + self.payload.len());
        self.payload.truncate(1);
        Ok(())
    }

    fn write(&mut self, header: &[u8]) -> Result<(), Failure> {
        let written = self.file.write_all(header).and_then(|()| self.file.write_all(&self.payload));
        written.map_err(|source| Failure::read(&self.path, source))
    }

    /// Everything is in the files.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.end_frame()?;
        self.file.flush().map_err(|source| Failure::read(&self.path, source))
    }
}
