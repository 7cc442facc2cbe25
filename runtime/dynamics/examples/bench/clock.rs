//! CPU time of this process: on a busy machine the time on the wall says nothing.

use serde_json::{Value, json};

/// CPU time of all threads so far [s], from the scheduler (nanoseconds). A thread that has ended counts no more.
pub fn cpu_seconds() -> Result<f64> {
    let mut nanoseconds = 0.0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += text.split_whitespace().next().ok_or("schedstat is empty")?.parse::<f64>()?;
    }
    Ok(1e-9 * nanoseconds)
}

/// What a work hands over to be compared.
pub type Check = Vec<f64>;

/// A work that may fail.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Repeats a work until it has taken long enough to be timed; `count` is how many units one work has.
pub fn time(count: usize, mut work: impl FnMut() -> Result<Check>) -> Result<Value> {
    let check = work()?; // fills the caches; not timed
    let (start, mut repeats) = (cpu_seconds()?, 0_u32);
    loop {
        std::hint::black_box(work()?);
        repeats += 1;
        let spent = cpu_seconds()? - start;
        if spent >= 0.3 {
            return Ok(json!({ "cpu_seconds": spent / f64::from(repeats), "count": count, "check": check }));
        }
    }
}
