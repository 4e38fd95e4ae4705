//! What a process used, as Linux counts it.

/// Ticks a second in `/proc/PID/stat`, the same on every Linux.
const TICKS: f64 = 100.0;

/// CPU seconds of a process so far, its ended threads included.
pub fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name before may contain spaces; after it come state and numbers, user and system time the 12th and 13th.
    let after = stat.rsplit_once(')').unwrap().1;
    let mut fields = after.split_whitespace().skip(11);
    let mut next = || fields.next().unwrap().parse::<f64>().unwrap();
    (next() + next()) / TICKS
}

/// Resident bytes of a process now.
pub fn resident(pid: u32) -> f64 {
    memory(pid, "VmRSS:")
}

/// Resident bytes that stand in no file, as the program's own code does: how much of that is resident is the system's
/// choice.
pub fn allocated(pid: u32) -> f64 {
    memory(pid, "RssAnon:")
}

/// The most that was ever resident.
pub fn peak(pid: u32) -> f64 {
    memory(pid, "VmHWM:")
}

/// Lets [`peak`] begin anew at what is resident now.
pub fn forget_peak(pid: u32) {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
}

fn memory(pid: u32, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0
}

/// The process whose command line has these words.
pub fn find(words: &[&str]) -> u32 {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let matches = |pid: &u32| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words
            .iter()
            .all(|word| line.split('\0').any(|part| part == *word))
    };
    pids.filter(matches)
        .min()
        .unwrap_or_else(|| panic!("no process {words:?}"))
}

/// For CPU time: what else a machine does only adds to it.
pub fn least(figures: impl IntoIterator<Item = f64>) -> f64 {
    figures.into_iter().fold(f64::INFINITY, f64::min)
}

pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
