//! What the system says about this process, and its runtime. Source: proc(5).

use std::fs;

use bulkhead_model::metrics::Sheet;
use bulkhead_model::seam::metrics::Measured;

/// What Linux counts processor time in, for every program that asks. Source: `USER_HZ`.
const TICKS_A_SECOND: f64 = 100.0;

/// This process.
pub(crate) struct Process;

impl Measured for Process {
    fn tell(&self, sheet: &mut Sheet) {
        // Where there is no /proc, there are no such numbers.
        if let Ok(text) = fs::read_to_string("/proc/self/stat") {
            tell_stat(sheet, &text);
        }
        if let Some(bytes) = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident_bytes) {
            sheet.gauge("process.resident_memory_bytes", "Memory in use.", &[], bytes);
            // What is in use of the heap alone is not counted: that would cost at each allocation.
            sheet.gauge("vault.runtime.alloc_bytes", "Memory in use, code included.", &[], bytes);
            sheet.gauge("vault.runtime.sys_bytes", "Memory in use, code included.", &[], bytes);
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let tasks = "Tasks, which are to this program what goroutines are to others.";
            sheet.gauge("vault.runtime.num_goroutines", tasks, &[], runtime.metrics().num_alive_tasks() as f64);
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            // One is the folder itself, open while it is counted.
            let count = files.count().saturating_sub(1);
            sheet.gauge("process.open_fds", "Open file descriptors.", &[], count as f64);
        }
        if let Some(most) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
            sheet.gauge("process.max_fds", "Most open file descriptors.", &[], most as f64);
        }
    }
}

/// Fields are counted behind the program's name, which may hold anything but ends in the last
/// bracket.
fn tell_stat(sheet: &mut Sheet, text: &str) {
    let Some((_, rest)) = text.rsplit_once(')') else { return };
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // The state is field 3 of the page.
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    if let (Some(user), Some(system)) = (field(14), field(15)) {
        let help = "Processor time, in seconds.";
        sheet.counter("process.cpu_seconds_total", help, &[], (user + system) / TICKS_A_SECOND);
    }
    if let Some(threads) = field(20) {
        sheet.gauge("process.threads", "Threads.", &[], threads);
    }
    if let (Some(started), Some(booted)) = (field(22), boot_secs()) {
        let help = "When the process was started, in seconds since 1970.";
        sheet.gauge("process.start_time_seconds", help, &[], booted + started / TICKS_A_SECOND);
    }
    if let Some(bytes) = field(23) {
        // The sandbox reserves address space by the gigabyte: it is not memory.
        sheet.gauge("process.virtual_memory_bytes", "Address space, most of it only reserved.", &[], bytes);
    }
}

/// From `/proc/self/status`, which tells it in KiB.
fn resident_bytes(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_ascii_whitespace().next()?.parse::<f64>().ok()? * 1024.0)
}

/// When the machine was started, in seconds since 1970.
fn boot_secs() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use bulkhead_model::metrics::{Sheet, Value};

    use super::{Measured, Process, tell_stat};

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let mut sheet = Sheet::default();
        let numbers: Vec<String> = (4..=52).map(|number| number.to_string()).collect();
        tell_stat(&mut sheet, &format!("7 (a) S (b)) S {}", numbers.join(" ")));
        assert_eq!(sheet.value("process.threads", &Vec::new()), Some(Value::Number(20.0)));
        assert_eq!(sheet.value("process.virtual_memory_bytes", &Vec::new()), Some(Value::Number(23.0)));
    }

    #[tokio::test]
    async fn this_process_has_memory_and_files_and_tasks() {
        let task = tokio::spawn(std::future::pending::<()>());
        let mut sheet = Sheet::default();
        Process.tell(&mut sheet);
        task.abort();
        for name in [
            "process.resident_memory_bytes",
            "process.open_fds",
            "process.max_fds",
            "process.start_time_seconds",
            "vault.runtime.alloc_bytes",
            "vault.runtime.sys_bytes",
            "vault.runtime.num_goroutines",
        ] {
            let Some(Value::Number(number)) = sheet.value(name, &Vec::new()) else { panic!("no {name}") };
            assert!(number > 0.0, "{name}");
        }
    }
}
