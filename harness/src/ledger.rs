//! The ledger of a run on this machine: one file for each receipt that is in force. Small and durable at once.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use gauntlet_core::{
    port::{Later, Ledger, Trouble},
    receipt::{RECEIPT_FORMAT, Receipt},
    step::StepId,
};
use tokio::task::spawn_blocking;

use crate::record::{store, sync};

/// Receipts in `open/<n>.json` of a run's directory, numbered in the order in which they were put.
#[derive(Debug, Clone)]
pub struct FileLedger {
    dir: PathBuf,
    // One writer at a time: a number is given once.
    writing: Arc<Mutex<()>>,
}

impl FileLedger {
    /// The ledger in a run's directory (see [`crate::record::run_dir`]).
    pub fn new(run_dir: &Path) -> Self {
        Self { dir: run_dir.to_owned(), writing: Arc::default() }
    }

    /// Whether another process took the run over.
    pub fn is_fenced(&self) -> bool {
        self.fence_file().exists()
    }

    fn fence_file(&self) -> PathBuf {
        self.dir.join("fenced")
    }

    fn block<'a, T: Send + 'static>(
        &self,
        what: String,
        work: impl FnOnce(&Self) -> Result<T, Wrong> + Send + 'static,
    ) -> Later<'a, T> {
        let ledger = self.clone();
        Box::pin(async move {
            match spawn_blocking(move || work(&ledger)).await {
                Ok(Ok(done)) => Ok(done),
                Ok(Err(Wrong::Fenced)) => Err(Trouble::Fenced),
                Ok(Err(Wrong::File(path, why))) => {
                    Err(Trouble::failed(what, format!("{}: {why}", path.display())))
                }
                Err(panic) => Err(Trouble::failed(what, panic)),
            }
        })
    }

    fn put_now(&self, receipt: &Receipt) -> Result<(), Wrong> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.numbers()?.pop().unwrap_or(0);
        let path = self.path(last + 1);
        if self.is_fenced() {
            return Err(Wrong::Fenced);
        }
        let bytes = serde_json::to_vec(receipt).map_err(|e| Wrong::file(&path, e))?;
        store(&path, &bytes).map_err(|e| Wrong::file(&path, e))?;
        // Asked again: either the watcher sees this receipt, or we see its fence.
        if self.is_fenced() {
            fs::remove_file(&path).or_else(missing_is_fine).map_err(|e| Wrong::file(&path, e))?;
            return Err(Wrong::Fenced);
        }
        Ok(())
    }

    fn clear_now(&self, step: &StepId) -> Result<(), Wrong> {
        for (path, receipt) in self.read_all()? {
            if receipt.step == *step {
                fs::remove_file(&path).or_else(missing_is_fine).map_err(|e| Wrong::file(&path, e))?;
            }
        }
        // A receipt that comes back after a power failure is healed once more, which does no harm.
        Ok(())
    }

    fn fence_now(&self) -> Result<(), Wrong> {
        let path = self.fence_file();
        File::create(&path).and_then(|_| sync(&self.dir)).map_err(|e| Wrong::file(&path, e))
    }

    fn read_all(&self) -> Result<Vec<(PathBuf, Receipt)>, Wrong> {
        let mut receipts = Vec::new();
        for path in self.numbers()?.into_iter().map(|number| self.path(number)) {
            match fs::read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                read => {
                    receipts.push((path.clone(), parse(&path, &read.map_err(|e| Wrong::file(&path, e))?)?))
                }
            }
        }
        Ok(receipts)
    }

    // Of the receipts that are in force, in order.
    fn numbers(&self) -> Result<Vec<u64>, Wrong> {
        let open = self.dir.join("open");
        let entries = fs::read_dir(&open).map_err(|e| Wrong::file(&open, e))?;
        let mut numbers = Vec::new();
        for entry in entries {
            let name = entry.map_err(|e| Wrong::file(&open, e))?.file_name();
            let number: Option<u64> = name.to_str().and_then(|name| name.strip_suffix(".json")?.parse().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join("open").join(format!("{number}.json"))
    }
}

enum Wrong {
    Fenced,
    File(PathBuf, String),
}

impl Wrong {
    fn file(path: &Path, why: impl ToString) -> Self {
        Self::File(path.to_owned(), why.to_string())
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Receipt, Wrong> {
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|e| Wrong::file(path, e))?;
    let format = value.get("format").and_then(serde_json::Value::as_u64);
    if let Some(format) = format.filter(|format| *format != u64::from(RECEIPT_FORMAT)) {
        return Err(Wrong::file(
            path,
            format!("the receipt has format {format}; this version reads {RECEIPT_FORMAT}"),
        ));
    }
    serde_json::from_value(value).map_err(|e| Wrong::file(path, e))
}

fn missing_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

impl Ledger for FileLedger {
    fn put<'a>(&'a self, receipt: &'a Receipt) -> Later<'a, ()> {
        let receipt = receipt.clone();
        self.block(format!("store the receipt of {}", receipt.step), move |ledger| ledger.put_now(&receipt))
    }

    fn clear<'a>(&'a self, step: &'a StepId) -> Later<'a, ()> {
        let step = step.clone();
        self.block(format!("clear the receipt of {step}"), move |ledger| ledger.clear_now(&step))
    }

    fn open(&self) -> Later<'_, Vec<Receipt>> {
        let read = |ledger: &Self| Ok(ledger.read_all()?.into_iter().map(|(_, receipt)| receipt).collect());
        self.block("read the ledger".to_owned(), read)
    }

    fn fence(&self) -> Later<'_, ()> {
        self.block("fence the ledger".to_owned(), Self::fence_now)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use gauntlet_core::{
        port::{Ledger, Trouble},
        receipt::{RECEIPT_FORMAT, Receipt},
        step::StepId,
    };

    use super::FileLedger;

    fn receipt(step: &str) -> Receipt {
        Receipt {
            format: RECEIPT_FORMAT,
            step: StepId(step.into()),
            acts: vec![],
            undo: vec![],
            gone: vec![],
        }
    }

    fn ledger() -> (tempfile::TempDir, FileLedger) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("open")).unwrap();
        let ledger = FileLedger::new(dir.path());
        (dir, ledger)
    }

    async fn open(ledger: &FileLedger) -> Vec<String> {
        ledger.open().await.unwrap().into_iter().map(|receipt| receipt.step.0).collect()
    }

    #[tokio::test]
    async fn receipts_come_back_oldest_first_also_past_ten() {
        let (_dir, ledger) = ledger();
        let steps: Vec<String> = (1..=12).map(|n| format!("set-up/{n}")).collect();
        for step in &steps {
            ledger.put(&receipt(step)).await.unwrap();
        }
        assert_eq!(open(&ledger).await, steps);
    }

    #[tokio::test]
    async fn a_receipt_is_cleared_and_clearing_again_is_fine() {
        let (_dir, ledger) = ledger();
        for step in ["a/1", "b/1"] {
            ledger.put(&receipt(step)).await.unwrap();
        }
        ledger.clear(&StepId("a/1".into())).await.unwrap();
        ledger.clear(&StepId("a/1".into())).await.unwrap();
        assert_eq!(open(&ledger).await, ["b/1"]);
    }

    #[tokio::test]
    async fn once_fenced_nothing_is_put_but_all_can_be_read_and_cleared() {
        let (_dir, ledger) = ledger();
        ledger.put(&receipt("a/1")).await.unwrap();
        ledger.fence().await.unwrap();
        ledger.fence().await.unwrap();
        assert_eq!(ledger.put(&receipt("b/1")).await, Err(Trouble::Fenced));
        assert_eq!(open(&ledger).await, ["a/1"]);
        ledger.clear(&StepId("a/1".into())).await.unwrap();
        assert!(open(&ledger).await.is_empty());
    }

    #[tokio::test]
    async fn an_unknown_format_is_refused_and_the_file_is_named() {
        let (dir, ledger) = ledger();
        fs::write(dir.path().join("open/1.json"), r#"{"format":9}"#).unwrap();
        let told = ledger.open().await.unwrap_err().to_string();
        assert!(told.contains("open/1.json") && told.contains("format 9"), "{told}");
    }

    #[tokio::test]
    async fn a_write_that_was_cut_short_is_no_receipt() {
        let (dir, ledger) = ledger();
        fs::write(dir.path().join("open/1.json.new"), "{").unwrap();
        assert!(open(&ledger).await.is_empty());
        ledger.put(&receipt("a/1")).await.unwrap();
        assert_eq!(open(&ledger).await, ["a/1"]);
    }

    #[tokio::test]
    async fn receipts_put_at_once_never_share_a_file() {
        let (_dir, ledger) = ledger();
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..20 {
            let ledger = ledger.clone();
            tasks.spawn(async move { ledger.put(&receipt(&format!("t/{n}"))).await });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap().unwrap();
        }
        assert_eq!(open(&ledger).await.len(), 20);
    }
}
