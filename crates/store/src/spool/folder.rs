//! The spool's folder: which segments there are, and how their files are made. Nothing else knows a file's name.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What every segment begins with; the last byte is the version of its form.
pub(super) const MAGIC: [u8; 8] = *b"KIPSPOO\x01";

const SUFFIX: &str = ".log";

/// A segment that can be written. Its failures are told, never repeated by itself.
pub(super) trait Medium: Send + Sync {
    /// Writes some of the bytes there; says how many.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Cuts the file.
    fn cut(&self, length: u64) -> io::Result<()>;
    /// Waits until it is on the disk.
    fn sync(&self) -> io::Result<()>;
}

impl Medium for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(self, bytes, offset)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Makes a segment's file; a test makes one that fails.
pub(super) type MakeMedium = Arc<dyn Fn(&Path) -> io::Result<Arc<dyn Medium>> + Send + Sync>;

/// Where the segments are.
#[derive(Clone)]
pub(super) struct Folder {
    path: PathBuf,
    make: MakeMedium,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        let make = |path: &Path| -> io::Result<Arc<dyn Medium>> {
            let mut options = OpenOptions::new();
            let file = options.write(true).create_new(true).mode(0o600).open(path)?;
            Ok(Arc::new(file))
        };
        Self {
            path: path.to_owned(),
            make: Arc::new(make),
        }
    }

    #[cfg(test)]
    pub(super) fn with(path: &Path, make: MakeMedium) -> Self {
        Self {
            path: path.to_owned(),
            make,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The numbers of the segments that are there, in order.
    pub(super) fn segments(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Makes a segment that is not there yet.
    pub(super) fn make(&self, number: u64) -> io::Result<Arc<dyn Medium>> {
        (self.make)(&self.file(number))
    }

    /// Opens a segment to read it.
    pub(super) fn open(&self, number: u64) -> io::Result<File> {
        File::open(self.file(number))
    }

    /// Cuts what does not belong to a segment.
    pub(super) fn cut(&self, number: u64, length: u64) -> io::Result<()> {
        OpenOptions::new()
            .write(true)
            .open(self.file(number))?
            .set_len(length)
    }

    pub(super) fn length(&self, number: u64) -> io::Result<u64> {
        Ok(fs::metadata(self.file(number))?.len())
    }

    pub(super) fn remove(&self, number: u64) -> io::Result<()> {
        fs::remove_file(self.file(number))
    }

    /// Waits until it is on the disk which files there are.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn file(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number:020}{SUFFIX}"))
    }
}

/// Reads up to `bytes_max` bytes from there; fewer only at the end.
pub(super) fn read_at(file: &File, offset: u64, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; bytes_max];
    let mut length = 0;
    while length < bytes_max {
        match file.read_at(&mut bytes[length..], offset + length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}
